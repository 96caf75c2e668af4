"use strict";

// Labels as a page holds them: one byte a voxel, x fastest, deflated, in base64.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

// Draws the slice at a place along an axis (0, 1, 2 for z, y, x), one pixel a voxel. `shape` is (z, y, x), `colors` four
// bytes a phase: red, green, blue, opacity.
function drawSlice(canvas, labels, shape, axis, place, colors) {
  const strides = [shape[1] * shape[2], shape[2], 1];
  const [rows, columns] = [0, 1, 2].filter((other) => other !== axis);
  canvas.width = shape[columns];
  canvas.height = shape[rows];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer), palette = new Uint32Array(colors.buffer);
  let pixel = 0;
  for (let row = 0; row < canvas.height; row++) {
    let voxel = place * strides[axis] + row * strides[rows];
    for (let column = 0; column < canvas.width; column++, voxel += strides[columns]) pixels[pixel++] = palette[labels[voxel]];
  }
  context.putImageData(image, 0, 0);
}
