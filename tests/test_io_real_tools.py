"""Files that other tools of the field write are read; files that we write open there."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import zarr

from kerasgan3d import io
from kerasgan3d.report import phase_colors
from kerasgan3d.volume import Volume

pytestmark = pytest.mark.peer
NAMES = ("pore", "NMC", "CBD")
LABELS = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
GREYS = np.array([0, 127, 255], np.uint8)[LABELS]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def assert_read(path, size=None):
    """Read a file at once and window by window."""
    volume = io.read(path)
    np.testing.assert_array_equal(volume.labels, LABELS)
    assert volume.voxel_size == size
    (stored,) = io.open_labels(path, in_memory=0).images
    assert isinstance(stored, io.LazyArray)
    for window in (np.s_[1:3, 2:4, :], np.s_[:, 4, 1:5], np.s_[3:4, 0:1, 5]):
        np.testing.assert_array_equal(stored[window], LABELS[window])


@pytest.mark.parametrize("name", ["v.mha", "v.mhd", "v.nrrd", "v.nhdr"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4"])
def test_simpleitk(name, packed, dtype):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(GREYS.astype(dtype))
    image.SetSpacing((0.5, 0.5, 0.5))  # of no unit
    sitk.WriteImage(image, name, packed)
    assert_read(name)
    image.SetSpacing((0.5, 0.5, 1))
    sitk.WriteImage(image, name, packed)
    with pytest.raises(ValueError, match="cubic voxels. Received: z 1, y 0.5, x 0.5 without a unit"):
        io.read(name)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("detached", [False, True])
def test_pynrrd(encoding, detached):
    nrrd = pytest.importorskip("nrrd")
    header = {
        "encoding": encoding,
        "space dimension": 3,
        "space units": ["um"] * 3,
        "space directions": np.eye(3) * 0.4,
    }
    name = "v.nhdr" if detached else "v.nrrd"
    nrrd.write(name, GREYS.T, header, detached_header=detached)
    assert_read(name, 0.4)
    nrrd.write(
        name, np.transpose(GREYS, (0, 2, 1)), {"labels": ["z", "x", "y"], "units": ["nm"] * 3, "spacings": [400] * 3}
    )
    assert_read(name, 0.4)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy", 2, 3])
@pytest.mark.parametrize("order", ["zyx", "xzy"])
def test_xarray(engine, order):
    xarray = pytest.importorskip("xarray")
    axes = {axis: (axis, np.arange(n) * 400.0, {"units": "nm"}) for axis, n in zip("zyx", LABELS.shape, strict=True)}
    values = {"labels": ("zyx", LABELS if engine != "scipy" else LABELS.astype(np.int8))}
    data = xarray.Dataset({"labels": (tuple("zyx"), values["labels"][1])}, axes).transpose(*order)
    if isinstance(engine, int):
        data.to_zarr("v.zarr", zarr_format=engine, consolidated=False)
        assert_read("v.zarr", 0.4)
        return
    if engine == "h5netcdf":
        pytest.importorskip("h5netcdf")
    data.to_netcdf("v.nc", engine=engine)
    assert_read("v.nc", 0.4)
    assert_read("v.nc:labels", 0.4)
    xarray.concat([data, data], "time").to_netcdf("t.nc", engine=engine)
    with pytest.raises(ValueError, match="of one moment. .* time is time"):
        io.read("t.nc")


def vtk_grid(pyvista, by_point, values, spacing=(1, 1, 1)):
    grid = pyvista.ImageData(dimensions=np.array(values.shape[::-1]) + (not by_point), spacing=spacing)
    (grid.point_data if by_point else grid.cell_data)["im"] = values.ravel()
    return grid


@pytest.mark.parametrize("by_point", [False, True], ids=["cells", "points"])
@pytest.mark.parametrize("compressor", ["ZLib", "LZ4", "LZMA", "None"])
@pytest.mark.parametrize("mode", ["Ascii", "Binary", "Appended", "Encoded"])
@pytest.mark.parametrize(("bits", "order", "dtype"), [(32, "BigEndian", "i4"), (64, "LittleEndian", "u1")])
def test_vti_of_vtk(by_point, compressor, mode, bits, order, dtype):
    pyvista = pytest.importorskip("pyvista")
    vtk = pytest.importorskip("vtkmodules.vtkIOXML")
    if compressor == "LZ4":
        pytest.importorskip("imagecodecs")
    writer = vtk.vtkXMLImageDataWriter()
    writer.SetInputData(vtk_grid(pyvista, by_point, GREYS.astype(dtype)))
    writer.SetFileName("v.vti")
    getattr(writer, f"SetDataModeTo{'Appended' if mode == 'Encoded' else mode}")()
    getattr(writer, f"SetCompressorTypeTo{compressor}")()
    writer.SetEncodeAppendedData(mode == "Encoded")
    getattr(writer, f"SetHeaderTypeToUInt{bits}")()
    getattr(writer, f"SetByteOrderTo{order}")()
    writer.SetBlockSize(64)
    writer.Write()
    assert_read("v.vti")


def test_vti_of_pyvista():
    pyvista = pytest.importorskip("pyvista")
    grid = vtk_grid(pyvista, False, GREYS)
    grid.cell_data["grey"], grid.cell_data["other"] = np.zeros(GREYS.size), GREYS.ravel()
    grid.save("v.vti")
    with pytest.raises(ValueError, match="one array, .* Received: the arrays CellData/im, CellData/other"):
        io.read("v.vti")
    assert_read("v.vti:im")
    grid.cell_data["vtkGhostType"] = (np.arange(GREYS.size) == 7).astype(np.uint8) * 32
    grid.save("v.vti")
    with pytest.raises(ValueError, match="show all of its voxels. Received: some that are blanked"):
        io.read("v.vti:im")
    vtk_grid(pyvista, False, GREYS, (0.5, 0.5, 1)).save("v.vti")
    with pytest.raises(ValueError, match="Received: z 1, y 0.5, x 0.5"):
        io.read("v.vti")


def test_pyvista_opens_ours_with_names_and_gives_it_back():
    pyvista = pytest.importorskip("pyvista")
    volume = Volume(LABELS, NAMES, 0.4, "yx")
    volume.save("ours.vti")
    grid = pyvista.read("ours.vti")
    assert list(grid.field_data["phases"]) == list(NAMES)
    np.testing.assert_array_equal(grid.cell_data["phase"], LABELS.ravel())
    grid.cell_data["other"] = LABELS.ravel()
    grid.save("again.vti")
    again = io.read("again.vti")
    assert (again.phases, again.voxel_size, again.periodic) == (NAMES, 0.4, (False, True, True))


@pytest.mark.parametrize("compression", ["zstd", "lzw", "lzma", "deflate"])
def test_tiff_through_imagecodecs(compression):
    pytest.importorskip("imagecodecs")
    import tifffile

    tifffile.imwrite("v.tif", GREYS, compression=compression, photometric="minisblack")
    assert_read("v.tif")


def test_jpeg_tiff_through_imagecodecs():
    pytest.importorskip("imagecodecs")
    import tifffile

    tifffile.imwrite(
        "v.tif", np.kron(GREYS, np.ones((1, 16, 16), np.uint8)), compression="jpeg", photometric="minisblack"
    )
    read = io.read("v.tif", mapping={0: "pore", 127: "NMC", 255: "CBD"}, tolerance=20)
    np.testing.assert_array_equal(read.labels, np.kron(LABELS, np.ones((1, 16, 16), np.uint8)))


def test_the_reader_of_ome_zarr_shows_labels_with_colours_and_names():
    pytest.importorskip("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    Volume(LABELS, NAMES, 0.4).save("v.zarr")
    (node,) = [node for node in Reader(parse_url("v.zarr"))() if node.load(Label)]
    np.testing.assert_array_equal(np.asarray(node.data[0]), LABELS)
    colours = {label: tuple(round(255 * part) for part in colour) for label, colour in node.metadata["color"].items()}
    assert colours == {label: (*colour, 255) for label, colour in enumerate(phase_colors(NAMES).tolist())}
    assert {label: facts["name"] for label, facts in node.metadata["properties"].items()} == dict(enumerate(NAMES))


@pytest.mark.filterwarnings("ignore")  # of its own: so small an image has no pyramid
def test_ome_zarr_of_its_own_writer_is_read():
    pytest.importorskip("ome_zarr")
    from ome_zarr.writer import write_image

    group = zarr.create_group("v.zarr")
    write_image(GREYS, group, axes="zyx")
    np.testing.assert_array_equal(io.read("v.zarr").labels, LABELS)


MACRO = """
for (i = 0; i < 3; i++) {
  open("FOLDER/" + i + ".tif"); getVoxelSize(w, h, d, u); n = nSlices; p = getPixel(1, 0);
  run("Duplicate...", "title=t"); run("RGB Color"); line = "";
  for (x = 0; x < getWidth(); x++) { c = getPixel(x, 0); line = line + " " + (c & 0xffffff); }
  print("seen " + n + " " + w + " " + d + " " + u + " " + p + line); close(); close();
}
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("xvfb-run") and os.path.exists("/usr/share/java/ij.jar")), reason="no ImageJ here"
)
def test_imagej_shows_the_colours_of_the_phases(tmp_path):
    counts = (2, 3, 20)
    for number, n in enumerate(counts):
        labels = np.broadcast_to(np.arange(n, dtype=np.uint8), (3, 4, n))
        Volume(labels, [f"p{k}" for k in range(n)], 0.4).save(f"{number}.tif")
    (tmp_path / "m.ijm").write_text(MACRO.replace("FOLDER", str(tmp_path)))
    command = ["xvfb-run", "-a", "java", "-cp", "/usr/share/java/ij.jar", "ij.ImageJ", "-batch", "m.ijm"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout
    lines = [line.split() for line in shown.splitlines() if line.startswith("seen")]
    assert len(lines) == 3
    for n, (_, slices, width, depth, unit, second, *colours) in zip(counts, lines, strict=True):
        assert (slices, width, depth, unit, second) == ("3", "0.4", "0.4", "microns", "1")
        expected = phase_colors([f"p{k}" for k in range(n)]).astype(int) @ [65536, 256, 1]
        assert [int(colour) for colour in colours] == expected.tolist()
