// Browses slices of volumes side by side, all at the same place.
async function browse(browser) {
  const [select, input] = [browser.querySelector("select"), browser.querySelector("input")];
  const colors = new Uint8Array(4 * 256);
  JSON.parse(browser.dataset.colors).forEach((color, phase) => colors.set([...color, 255], 4 * phase));
  const volumes = await Promise.all([...browser.querySelectorAll("canvas")].map(async (canvas) => ({
    canvas, shape: JSON.parse(canvas.dataset.shape), labels: await unpacked(canvas.dataset.labels),
  })));
  const edge = Number(browser.dataset.voxelSize);
  function draw() {
    const axis = Number(select.value);
    input.max = Math.min(...volumes.map(({ shape }) => shape[axis])) - 1;
    const place = Number(input.value);
    for (const { canvas, shape, labels } of volumes) drawSlice(canvas, labels, shape, axis, place, colors);
    const length = edge ? `${Number((place * edge).toPrecision(3))} µm, ` : "";
    browser.querySelector("output").textContent = `${length}voxel ${place}`;
  }
  select.addEventListener("change", draw);
  input.addEventListener("input", draw);
  input.value = Math.floor(volumes[0].shape[0] / 2);
  draw();
  browser.hidden = false;
}

document.querySelectorAll(".browse").forEach(browse);
