// Pictures on canvases. Each function draws all of its canvas, at the screen's resolution and in the page's colours.

const COLOURS = ['#56b4e9', '#d55e00', '#009e73', '#7cc4a0', '#cc79a7', '#e69f00', '#3b7fd4', '#9467bd', '#8c8c8c'];
const HEAT = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]]; // matplotlib's magma at six places

const SHAPES = '●■▲◆▼○□△◇'; // as many: colour is never the only difference

export const shapeOf = (classes, label) => SHAPES[classes.indexOf(label) % SHAPES.length];
export const colourOf = (classes, label) => COLOURS[classes.indexOf(label) % COLOURS.length];
export const title = (label) => label.replaceAll('_', ' ');

/** The canvas, cleared, at the screen's resolution; ink(name) takes one of the page's colours. */
export function begin(canvas) {
  const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = '12px system-ui, sans-serif';
  const style = getComputedStyle(document.body);
  return { pen, width, height, ink: (name) => (pen.fillStyle = pen.strokeStyle = style.getPropertyValue(name)) };
}

/** Each label's score over time, a mark in the middle of every window, its threshold dotted; the chosen window is shaded. */
export function drawScores(canvas, { windows, samples, chosen }, { head, clip_samples }) {
  const { pen, width, height, ink } = begin(canvas);
  const [left, scale] = [24, (width - 24) / samples.length];
  const at = (sample, score) => [left + sample * scale, 8 + (height - 16) * (1 - score)];
  const middle = Math.min(clip_samples, samples.length) / 2;
  ink('--shade');
  pen.fillRect(at(windows[chosen].start, 1)[0], 0, clip_samples * scale, height);
  ink('--faint');
  [0, 1].forEach((score) => pen.fillText(score, 8, at(0, score)[1] + 4));
  const labels = head.map(({ name }) => name);
  head.forEach(({ name, threshold }, i) => {
    pen.fillStyle = pen.strokeStyle = colourOf(labels, name);
    pen.setLineDash([2, 4]);
    pen.strokeRect(left, at(0, threshold)[1], width - left, 0);
    pen.setLineDash([]);
    pen.beginPath();
    windows.forEach(({ start, scores }) => pen.lineTo(...at(start + middle, scores[i])));
    pen.stroke();
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    windows.forEach(({ start, scores }) => pen.fillText(shapeOf(labels, name), ...at(start + middle, scores[i])));
    pen.textBaseline = 'alphabetic';
    pen.textAlign = 'left';
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
