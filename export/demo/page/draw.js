// Pictures on canvases. Each function draws all of its canvas, at the screen's resolution and in the page's colours.

const COLOURS = ['#56b4e9', '#d55e00', '#009e73', '#7cc4a0', '#cc79a7', '#e69f00', '#3b7fd4', '#9467bd', '#8c8c8c'];
const HEAT = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // matplotlib's magma at six places

const SHAPES = '●■▲◆▼○□△◇'; // as many: colour is never the only difference

export const shapeOf = (classes, label) => SHAPES[classes.indexOf(label) % SHAPES.length];
export const colourOf = (classes, label) => COLOURS[classes.indexOf(label) % COLOURS.length];
export const title = (label) => label.replaceAll('_', ' ');

function begin(canvas) {
  const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = '12px system-ui, sans-serif';
  const style = getComputedStyle(document.body);
  return { pen, width, height, ink: (name) => (pen.fillStyle = pen.strokeStyle = style.getPropertyValue(name)) };
}

/** The waveform as its range in each pixel, with the chosen window shaded. */
export function drawWave(canvas, samples, { start, length }) {
  const { pen, width, height, ink } = begin(canvas);
  const scale = width / samples.length;
  ink('--shade');
  pen.fillRect(start * scale, 0, Math.max(2, length * scale), height);
  let peak = 1e-6;
  for (const value of samples) peak = Math.max(peak, Math.abs(value));
  ink('--accent');
  for (let x = 0; x < width; x++) {
    const first = Math.floor(x / scale);
    let [low, high] = [samples[first], samples[first]];
    for (let i = first; i < Math.min((x + 1) / scale, samples.length); i++) [low, high] = [Math.min(low, samples[i]), Math.max(high, samples[i])];
    pen.fillRect(x, (height / 2) * (1 - high / peak), 1, Math.max(1, ((height / 2) * (high - low)) / peak));
  }
}

/** Each window's nearest class by colour, from its start to the next one's, or to its end. */
export function drawStrip(canvas, windows, total, { classes, clip_samples }) {
  const { pen, width, height, ink } = begin(canvas);
  ink('--line');
  pen.fillRect(0, 0, width, height);
  windows.forEach(({ start, nearest }, index) => {
    if (!nearest) return;
    const end = windows[index + 1]?.start ?? Math.min(total, start + clip_samples);
    pen.fillStyle = colourOf(classes, nearest[0].label);
    pen.fillRect((start / total) * width, 0, Math.max(((end - start) / total) * width - 1, 1), height);
  });
}

/** The frontend's image: time to the right, mel bands upwards, dark is little. */
export function drawImage(canvas, values, { image: [frames, mels], hz, clip_s }) {
  const { pen, width, height, ink } = begin(canvas);
  const [left, bottom] = [52, 20];
  const pixels = new ImageData(frames, mels);
  let peak = 1e-6;
  for (const value of values) peak = Math.max(peak, value);
  for (let frame = 0; frame < frames; frame++) {
    for (let mel = 0; mel < mels; mel++) {
      const at = 4 * ((mels - 1 - mel) * frames + frame);
      pixels.data.set([...heat(values[frame * mels + mel] / peak), 255], at);
    }
  }
  const small = new OffscreenCanvas(frames, mels);
  small.getContext('2d').putImageData(pixels, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, left, 0, width - left, height - bottom);
  ink('--faint');
  pen.textAlign = 'right';
  pen.fillText(`${hz[1] / 1000} kHz`, left - 6, 11);
  pen.fillText(`${hz[0]} Hz`, left - 6, height - bottom);
  pen.fillText(`${clip_s} s`, width, height - 5);
  pen.textAlign = 'left';
  pen.fillText('0', left, height - 5);
}

function heat(value) {
  const place = Math.min(Math.max(value, 0), 1) * (HEAT.length - 1);
  const [low, share] = [Math.min(Math.floor(place), HEAT.length - 2), place - Math.min(Math.floor(place), HEAT.length - 2)];
  return HEAT[low].map((value, channel) => value + share * (HEAT[low + 1][channel] - value));
}

/** Examples by class; the sound's windows as a path of rings, the chosen one large and tied to its nearest example. */
export function drawMap(canvas, landmarks, classes, windows, chosen) {
  const { pen, width, height, ink } = begin(canvas);
  const at = fit([...landmarks.points, ...windows.map(({ point }) => point)], width, height);
  const line = (points) => {
    pen.beginPath();
    points.forEach((point) => pen.lineTo(...at(point)));
    pen.stroke();
  };
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  landmarks.points.forEach((point, index) => {
    pen.fillStyle = colourOf(classes, landmarks.labels[index]);
    pen.fillText(shapeOf(classes, landmarks.labels[index]), ...at(point));
  });
  ink('--ink');
  pen.globalAlpha = 0.25;
  line(windows.map(({ point }) => point));
  pen.globalAlpha = 1;
  windows.forEach(({ point, nearest }, index) => {
    pen.lineWidth = index === chosen ? 2 : 1;
    pen.beginPath();
    pen.arc(...at(point), index === chosen ? 9 : 4, 0, 2 * Math.PI);
    pen.stroke();
    if (index === chosen && nearest) line([point, landmarks.points[nearest[0].index]]);
  });
}

/** Both axes to one scale, so that distances on the map are distances in the plane. */
function fit(points, width, height) {
  const ends = [0, 1].map((axis) => points.map((point) => point[axis])).map((values) => [Math.min(...values), Math.max(...values)]);
  const scale = Math.min(...ends.map(([low, high], axis) => ([width, height][axis] - 60) / Math.max(high - low, 1e-9)));
  const centre = ends.map(([low, high]) => (low + high) / 2);
  return (point) => [width / 2 + (point[0] - centre[0]) * scale, height / 2 - (point[1] - centre[1]) * scale];
}
