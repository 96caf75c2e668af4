// The page of a volume. Vectors of the body are (x, y, z) in voxels; shapes, places and cuts are (z, y, x), as everywhere.
// The camera is that of the pictures (solid.py): orthographic, z down, the first slice on top.
const SHADER = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler3D;
uniform usampler3D labels;
uniform sampler2D colors;
uniform vec3 low, high, centre, right, down, into, shade;
uniform vec2 size;
uniform float scale, reach;
uniform int longest;
out vec4 color;
void main() {
  vec2 place = (gl_FragCoord.xy - 0.5 * size) * scale;
  vec3 start = centre + right * place.x - down * place.y - into * reach;
  vec3 inverse = 1.0 / into;
  vec3 a = (low - start) * inverse, b = (high - start) * inverse;
  vec3 entries = min(a, b), exits = max(a, b);
  float depth = max(max(entries.x, entries.y), entries.z);
  color = vec4(0.0);
  if (depth >= min(min(exits.x, exits.y), exits.z)) return;
  int axis = entries.x == depth ? 0 : entries.y == depth ? 1 : 2;
  ivec3 voxel = clamp(ivec3(floor(start + into * (depth + 1e-3))), ivec3(low), ivec3(high) - 1);
  vec3 next = (vec3(voxel) + step(0.0, into) - start) * inverse;
  float first = depth;
  for (int k = 0; k < longest; k++) {
    vec4 found = texelFetch(colors, ivec2(texelFetch(labels, voxel, 0).r, 0), 0);
    if (found.a > 0.5) {
      color = vec4(found.rgb * shade[axis] * (1.0 - 0.45 * min(1.0, (depth - first) / reach)), 1.0);
      return;
    }
    axis = next.x < next.y ? (next.x < next.z ? 0 : 2) : (next.y < next.z ? 1 : 2);
    depth = next[axis];
    voxel[axis] += into[axis] > 0.0 ? 1 : -1;
    if (voxel[axis] < int(low[axis]) || voxel[axis] >= int(high[axis])) return;
    next[axis] += abs(inverse[axis]);
  }
}`;
const CORNERS = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;
const INK = "#24272d";
const START = { azimuth: 40, elevation: 30, zoom: 1 };

const volume = JSON.parse(document.getElementById("volume").textContent);
const [depth, height, width] = volume.shape;
const sides = [width, height, depth];
const reach = Math.hypot(...sides);
const colors = new Uint8Array(4 * 256);
const places = volume.shape.map((length) => Math.floor(length / 2));
const cuts = [false, false, false];
const eye = { ...START };
const solid = document.getElementById("solid");
const [body, frame] = solid.querySelectorAll("canvas");
const panels = [...document.querySelectorAll(".slices figure")];
let labels, gl, program, turning = false, asked = false, moved = false;

function trouble(text) {
  const told = document.getElementById("trouble");
  told.textContent = text;
  told.hidden = false;
}

// Sets up WebGL; tells whether there is any.
function prepared() {
  gl = body.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
  if (!gl) return false;
  program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, CORNERS], [gl.FRAGMENT_SHADER, SHADER]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
  gl.useProgram(program);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_3D, gl.createTexture());
  gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8UI, ...sides, 0, gl.RED_INTEGER, gl.UNSIGNED_BYTE, labels);
  gl.activeTexture(gl.TEXTURE1);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  for (const [unit, kind] of [[gl.TEXTURE0, gl.TEXTURE_3D], [gl.TEXTURE1, gl.TEXTURE_2D]]) {
    gl.activeTexture(unit);
    gl.texParameteri(kind, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(kind, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }
  gl.uniform1i(gl.getUniformLocation(program, "labels"), 0);
  gl.uniform1i(gl.getUniformLocation(program, "colors"), 1);
  gl.uniform1i(gl.getUniformLocation(program, "longest"), sides[0] + sides[1] + sides[2]);
  return true;
}

// The picture's axes in the body: right, down, and into the picture. No component is 0, which would divide by it.
function camera() {
  const [azimuth, elevation] = [eye.azimuth, eye.elevation].map((angle) => ((angle + 1e-4) * Math.PI) / 180);
  const [sin, cos, tilt, flat] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
  return {
    right: [cos, -sin, 1e-9],
    down: [sin * tilt, cos * tilt, flat],
    into: [-sin * flat, -cos * flat, tilt],
  };
}

// The box that the cuts leave: of z what follows the slice, of y and x what comes before it, which faces the first view.
function cutBox() {
  const low = [0, 0, cuts[0] ? places[0] : 0];
  return { low, high: [cuts[2] ? places[2] + 1 : width, cuts[1] ? places[1] + 1 : height, depth] };
}

function drawBody(view, box) {
  // Faces to the right are lighter than faces to the left, the upper one is lightest.
  const side = (axis) => 0.773 + 0.1136 * -Math.sign(view.into[axis]) * view.right[axis];
  const shade = [side(0), side(1), view.into[2] > 0 ? 1 : 0.6];
  const uniform = (name) => gl.getUniformLocation(program, name);
  gl.viewport(0, 0, body.width, body.height);
  gl.activeTexture(gl.TEXTURE1);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colors);
  const vectors = { ...view, ...box, shade, centre: sides.map((side) => side / 2) };
  for (const [name, vector] of Object.entries(vectors)) gl.uniform3fv(uniform(name), vector);
  gl.uniform2f(uniform("size"), body.width, body.height);
  gl.uniform1f(uniform("scale"), scale() / devicePixelRatio);
  gl.uniform1f(uniform("reach"), reach);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
}

// Voxels per CSS pixel.
function scale() {
  return (1.08 * reach) / Math.min(solid.clientWidth, solid.clientHeight) / eye.zoom;
}

// Draws the edges of what is left of the box that face the eye, and names those of the whole box with their lengths.
function drawFrame(view, box) {
  const context = frame.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, solid.clientWidth, solid.clientHeight);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const onScreen = (point) => {
    const away = point.map((value, axis) => value - sides[axis] / 2);
    return [
      solid.clientWidth / 2 + dot(away, view.right) / scale(),
      solid.clientHeight / 2 + dot(away, view.down) / scale(),
    ];
  };
  const edges = (low, high) => {
    const found = [];
    for (let axis = 0; axis < 3; axis++) {
      const [u, v] = [(axis + 1) % 3, (axis + 2) % 3];
      for (const [atU, atV] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
        const from = [...low];
        from[u] = atU ? high[u] : low[u];
        from[v] = atV ? high[v] : low[v];
        const to = [...from];
        to[axis] = high[axis];
        const seen = [[u, atU], [v, atV]].filter(([normal, end]) => (end ? -1 : 1) * view.into[normal] > 0).length;
        found.push({ axis, seen, ends: [onScreen(from), onScreen(to)] });
      }
    }
    return found;
  };
  const stroke = (list, style, line) => {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    for (const { ends: [from, to] } of list) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.stroke();
  };
  const whole = edges([0, 0, 0], sides), rim = whole.filter(({ seen }) => seen === 1);
  if (cuts.some(Boolean)) stroke(rim, "#a3aab4", 1);
  const left = edges(box.low, box.high);
  stroke(left.filter(({ seen }) => seen === 2), "#ffffff99", 1);
  stroke(left.filter(({ seen }) => seen === 1), INK, 1.2);
  context.fillStyle = INK;
  context.font = "13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const middle = ({ ends: [from, to] }) => [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  for (let axis = 0; axis < 3; axis++) {
    // Of the two edges at the rim, z takes the left one and the others the lower one.
    const two = rim.filter((edge) => edge.axis === axis).sort((a, b) =>
      axis === 2 ? middle(a)[0] - middle(b)[0] : middle(b)[1] - middle(a)[1]);
    if (!two.length) continue;
    const [x, y] = middle(two[0]);
    const [dx, dy] = [x - solid.clientWidth / 2, y - solid.clientHeight / 2], far = Math.hypot(dx, dy) || 1;
    const text = `${"xyz"[axis]}  ${volume.lengths[2 - axis]}`, wide = context.measureText(text).width;
    const begin = x + (14 * dx) / far - (dx > 20 ? 0 : dx < -20 ? wide : wide / 2);
    context.fillText(text, Math.max(4, Math.min(solid.clientWidth - wide - 4, begin)), y + (14 * dy) / far);
  }
}

function drawSolid() {
  const pixels = [solid.clientWidth, solid.clientHeight].map((side) => Math.round(side * devicePixelRatio));
  for (const canvas of [body, frame]) {
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
  }
  const view = camera(), box = cutBox();
  if (gl) drawBody(view, box);
  drawFrame(view, box);
}

function drawPanel(axis) {
  const canvas = panels[axis].querySelector("canvas");
  drawSlice(canvas, labels, volume.shape, axis, places[axis], colors);
  const [rows, columns] = [0, 1, 2].filter((other) => other !== axis);
  // Where the other two slices are.
  const [across, down] = panels[axis].querySelectorAll("i");
  across.style.top = `${(100 * (places[rows] + 0.5)) / canvas.height}%`;
  down.style.left = `${(100 * (places[columns] + 0.5)) / canvas.width}%`;
  const voxel = volume.first[axis] + places[axis] * volume.step;
  const length = volume.voxel_size ? `${Number((voxel * volume.voxel_size).toPrecision(3))} µm, ` : "";
  panels[axis].querySelector("output").textContent = `${length}voxel ${voxel}`;
  panels[axis].querySelector("input").value = places[axis];
}

// Draws the body anew, and the slices where they are not what they were, once, when the browser is ready to.
function draw(slices = true) {
  moved ||= slices;
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    if (turning) eye.azimuth += 0.7;
    drawSolid();
    if (moved) [0, 1, 2].forEach(drawPanel);
    moved = false;
    document.body.dataset.drawn = "yes";
    if (turning) draw(false);
  });
}

function turn(right, up) {
  eye.azimuth += right;
  eye.elevation = Math.max(-90, Math.min(90, eye.elevation + up));
  draw(false);
}

function zoom(factor) {
  eye.zoom = Math.max(0.5, Math.min(12, eye.zoom * factor));
  draw(false);
}

function listenToSolid() {
  solid.addEventListener("pointerdown", (event) => solid.setPointerCapture(event.pointerId));
  solid.addEventListener("pointermove", (event) => {
    if (event.buttons) turn(-0.5 * event.movementX, 0.5 * event.movementY);
  });
  solid.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-0.0015 * event.deltaY));
  }, { passive: false });
  const keys = {
    ArrowLeft: () => turn(5, 0), ArrowRight: () => turn(-5, 0), ArrowUp: () => turn(0, -5), ArrowDown: () => turn(0, 5),
    "+": () => zoom(1.2), "=": () => zoom(1.2), "-": () => zoom(1 / 1.2),
  };
  solid.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(() => draw(false)).observe(solid);
}

function listenToControls() {
  document.querySelectorAll(".phases input").forEach((box, phase) => box.addEventListener("change", () => {
    colors[4 * phase + 3] = box.checked ? 255 : 0;
    draw();
  }));
  document.querySelectorAll(".cuts input").forEach((box, axis) => box.addEventListener("change", () => {
    cuts[axis] = box.checked;
    draw();
  }));
  const button = document.getElementById("turn");
  button.addEventListener("click", () => {
    turning = !turning;
    button.setAttribute("aria-pressed", String(turning));
    draw(false);
  });
  document.getElementById("reset").addEventListener("click", () => {
    Object.assign(eye, START);
    draw(false);
  });
}

function listenToSlices() {
  const longest = Math.max(...volume.shape);
  panels.forEach((panel, axis) => {
    const [canvas, input] = [panel.querySelector("canvas"), panel.querySelector("input")];
    const [rows, columns] = [0, 1, 2].filter((other) => other !== axis);
    canvas.parentElement.style.width = `${(318 * volume.shape[columns]) / longest}px`;
    canvas.style.aspectRatio = `${volume.shape[columns]} / ${volume.shape[rows]}`;
    input.addEventListener("input", () => {
      places[axis] = Number(input.value);
      draw();
    });
    canvas.addEventListener("pointerdown", (event) => {
      places[rows] = Math.min(canvas.height - 1, Math.floor((event.offsetY / canvas.clientHeight) * canvas.height));
      places[columns] = Math.min(canvas.width - 1, Math.floor((event.offsetX / canvas.clientWidth) * canvas.width));
      draw();
    });
  });
}

async function begin() {
  try {
    labels = await unpacked(volume.labels);
  } catch (error) {
    trouble(`This browser cannot unpack the volume: ${error.message}. A newer one can.`);
    return;
  }
  volume.colors.forEach((color, phase) => colors.set([...color, 255], 4 * phase));
  if (!prepared()) {
    gl = null;
    trouble("This browser has no WebGL 2, so that the body is not drawn. The slices are.");
  }
  listenToSolid();
  listenToControls();
  listenToSlices();
  draw();
}

begin();
