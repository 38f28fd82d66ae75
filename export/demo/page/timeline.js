// Pictures along time, each as wide as the sound: the waveform, what is near, and the scores and events of each class.
import { begin, colourOf, shapeOf, title } from './draw.js';

const BLOCK = 256; // samples
const [LABEL, PLOT, BAR, ROW] = [18, 34, 6, 66]; // heights in a row of the timeline: of its name, scores and events, and of all with a gap
const AXIS = 18;
const TICKS_S = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200];

/** The range of each block of samples, kept as a sound grows: the waveform of an hour is drawn from these. */
export class Outline {
  constructor() {
    [this.lows, this.highs] = [[], []];
  }

  follow(samples) {
    for (let at = this.lows.length * BLOCK; at + BLOCK <= samples.length; at += BLOCK) {
      let [low, high] = [Infinity, -Infinity];
      for (let i = at; i < at + BLOCK; i++) [low, high] = [Math.min(low, samples[i]), Math.max(high, samples[i])];
      this.lows.push(low);
      this.highs.push(high);
    }
    return this;
  }
}

/** The waveform as its range in each pixel, with the chosen window shaded. */
export function drawWave(canvas, samples, outline, { start, length }) {
  const { pen, width, height, ink } = begin(canvas);
  const coarse = samples.length > 4 * BLOCK * width;
  const { lows, highs } = coarse ? outline.follow(samples) : { lows: samples, highs: samples };
  const scale = width / lows.length;
  ink('--shade');
  pen.fillRect((start / samples.length) * width, 0, Math.max(2, (length / samples.length) * width), height);
  let peak = 1e-6;
  for (let i = 0; i < lows.length; i++) peak = Math.max(peak, -lows[i], highs[i]);
  ink('--accent');
  for (let x = 0; x < width; x++) {
    const first = Math.min(Math.floor(x / scale), lows.length - 1);
    let [low, high] = [lows[first], highs[first]];
    for (let i = first; i < Math.min((x + 1) / scale, lows.length); i++) [low, high] = [Math.min(low, lows[i]), Math.max(high, highs[i])];
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

/** A row for each class: its scores with both thresholds dotted, and its events as bars below, of some seconds. The chosen window is shaded. */
export function drawTimeline(canvas, { stream, events, windows, chosen }, { from, to }, { rules, sample_rate_hz, clip_s }) {
  const labels = rules.classes.map(({ label }) => label);
  canvas.style.height = `${labels.length * ROW + AXIS}px`;
  const { pen, width, height, ink } = begin(canvas);
  const [scale, shaded] = [width / (to - from), windows[chosen]]; // pixels of a second
  const at = (time) => (time - from) * scale;
  if (shaded) {
    ink('--shade');
    pen.fillRect(at(shaded.start / sample_rate_hz), 0, Math.max(2, clip_s * scale), height - AXIS);
  }
  drawTimes(pen, { from, to, at, scale, height, ink });
  rules.classes.forEach(({ label, on, off }, index) => {
    const base = index * ROW + LABEL + PLOT;
    const up = (score) => base - PLOT * score;
    ink('--line');
    pen.fillRect(0, base, width, 1);
    pen.fillStyle = pen.strokeStyle = colourOf(labels, label);
    fillScores(pen, stream.timeline, index, { at: (step) => at(step * rules.step_s), wide: scale * rules.step_s, up, width });
    for (const event of events.filter((event) => event.label === label)) pen.fillRect(at(event.start), base + 3, Math.max((event.end - event.start) * scale, 2), BAR);
    pen.fillText(shapeOf(labels, label), 0, base - PLOT - 5);
    ink('--ink');
    pen.fillText(title(label), 16, base - PLOT - 5);
    for (const [score, dashes] of [[on, [2, 3]], [off, [1, 7]]]) {
      pen.setLineDash(dashes);
      pen.beginPath();
      pen.moveTo(0, up(score));
      pen.lineTo(width, up(score));
      pen.stroke();
    }
    pen.setLineDash([]);
  });
}

/** The scores of a class as a step each; where steps are narrower than a pixel, the highest of those in it, so that what is short is seen. */
function fillScores(pen, timeline, index, { at, wide, up, width }) {
  const each = Math.max(1, Math.ceil(1 / wide));
  const first = Math.max(0, Math.floor(-at(0) / wide / each) * each); // in sight
  let end = first;
  pen.beginPath();
  pen.moveTo(at(first), up(0));
  while (end < timeline.length && at(end) < width) {
    const [start, upTo] = [end, Math.min(end + each, timeline.length)];
    let score = 0;
    for (; end < upTo; end++) score = Math.max(score, timeline[end][index]);
    pen.lineTo(at(start), up(score));
    pen.lineTo(at(end), up(score));
  }
  pen.stroke();
  pen.lineTo(at(end), up(0));
  pen.globalAlpha = 0.35;
  pen.fill();
  pen.globalAlpha = 1;
}

function drawTimes(pen, { from, to, at, scale, height, ink }) {
  const each = TICKS_S.find((tick) => tick * scale >= 56) ?? TICKS_S.at(-1);
  for (let tick = Math.ceil(from / each); tick * each < to; tick++) {
    const x = at(tick * each);
    ink('--line');
    pen.fillRect(x, 0, 1, height - AXIS);
    ink('--faint');
    if (at(to) - x > 36) pen.fillText(clock(tick * each, each < 1 ? 1 : 0), Math.max(0, x - 10), height - 4);
  }
}

/** Seconds as m:ss or h:mm:ss, with decimals. */
export function clock(seconds, decimals = 0) {
  const units = Math.round(seconds * 10 ** decimals); // rounded once, so that no 60 is shown
  const whole = Math.floor(units / 10 ** decimals);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, '0');
  const rest = decimals ? `.${String(units % 10 ** decimals).padStart(decimals, '0')}` : '';
  return `${h ? `${h}:${two(m)}` : m}:${two(s)}${rest}`;
}
