"""kerasgan3d as a Space of Hugging Face: the app of the package, of sizes that strangers can share a machine for."""

from kerasgan3d.zoo.app import PUBLIC, serve

serve(largest=PUBLIC)
