// The page: a sound comes in, its windows go through the model one by one, and everything is shown as it becomes known.
import { title } from './draw.js';
import { byStart, EventStream } from './events.js';
import { Landmarks } from './landmarks.js';
import { listen } from './microphone.js';
import { distance, openModels } from './model.js';
import { play } from './player.js';
import { clipStarts, cut, decode, isSilent } from './sound.js';
import { Outline } from './timeline.js';
import { at, fact, say, View } from './view.js';

const MAX_S = 3600; // an hour is 230 MB of samples in the page; hearlite embed takes longer ones
const bytes = async (path) => (await fetch(path)).arrayBuffer();

let landmarks;
let stopListening = null;
export let spec, models, view; // of the file
export let take = null; // the sound on the page, see view.js

async function begin() {
  spec = await (await fetch('demo.json')).json();
  landmarks = new Landmarks(new Float32Array(await bytes('landmarks.f32')), spec);
  view = new View(spec, landmarks, lookAt);
  view.offer((label) => open(`${title(label)}, synthetic`, () => bytes(`sounds/${label}.wav`), `${label}.wav`));
  models = await openModels(spec);
  await selfTest();
  document.querySelectorAll('button').forEach((button) => (button.disabled = false));
  say('Ready.');
  document.body.dataset.state = 'ready';
}

/** The golden sound must give the embedding that Python got when it wrote the file; it also warms the runtime up. */
async function selfTest() {
  const golden = cut((await decode(await bytes('golden.wav'), spec)).samples, 0, spec);
  const found = (await models.embed(golden))[spec.outputs.embedding];
  const off = distance(spec.golden_embedding, found);
  const same = spec.golden_embedding.every((value, i) => Math.fround(value) === found[i]);
  if (!(off <= spec.golden_tolerance)) throw new Error(`this browser's embedding of the golden sound is off by ${off} of its length, allowed is ${spec.golden_tolerance}`);
  fact('Self-test', `the golden sound's embedding is Python's${same ? ', bit by bit' : `, but for ${off.toExponential(1)} of its length`}`);
}

async function open(name, read, file = name) {
  await stopRecording();
  say(`Reading ${name} …`);
  try {
    const { samples, exact } = await decode(await read(), spec);
    if (!exact && !samples.every(Number.isFinite)) throw new Error('it holds NaN or infinite values');
    if (samples.length < 2) throw new Error('it holds no sound');
    if (samples.length > MAX_S * spec.sample_rate_hz) throw new Error(`it is longer than ${MAX_S / 60} minutes, cut it or use hearlite embed`);
    start({ name: exact ? name : `${name}, decoded by the browser`, file, samples, whole: true });
    hearOn(take);
  } catch (error) {
    say(`${name} can't be read: ${error.message}. A WAV of 16 bits is the safest.`, true);
  }
}

function start(sound) {
  const mine = { ...sound, windows: [], chosen: 0, picked: false, busy: false, outline: new Outline() };
  if (spec.rules) Object.assign(mine, { stream: new EventStream(scorer(mine), spec), events: [], taken: 0, ended: false });
  take = mine;
  if (mine.stream) view.show(mine, models); // so that the events of another sound are gone at once
  document.body.dataset.state = 'hearing';
}

/** Hear what is due of a take, until there is nothing more or another sound has come. */
async function hearOn(mine) {
  if (mine.busy) return;
  mine.busy = true;
  let [shown, pause] = [performance.now(), 100];
  while (await hearNext(mine)) {
    if (!mine.whole) mine.chosen = Math.max(0, mine.windows.length - 1);
    else if (!mine.picked) mine.chosen = loudest(mine.windows);
    const now = performance.now();
    if (now - shown > pause) {
      await view.show(mine, models);
      await new Promise((resume) => setTimeout(resume)); // lets the page answer
      shown = performance.now();
      pause = Math.max(100, 4 * (shown - now)); // most of the time is for hearing, however long the sound has become
    }
  }
  mine.busy = false;
  if (mine !== take) return;
  await view.show(mine, models);
  if (mine.whole) document.body.dataset.state = 'done';
}

/** Hear one more window, or the next piece of a stream; false: nothing is due. */
async function hearNext(mine) {
  if (mine !== take) return false;
  if (mine.stream) return hearStream(mine);
  const first = clipStarts(mine.samples.length, spec, mine.whole)[mine.windows.length];
  if (first !== undefined) await hear(mine, first, cut(mine.samples, first, spec));
  return first !== undefined;
}

async function hearStream(mine) {
  const piece = mine.samples.subarray(mine.taken, mine.taken + spec.hop_samples);
  if (!piece.length && (mine.ended || !mine.whole)) return false;
  mine.taken += piece.length;
  mine.ended = !piece.length;
  mine.events.push(...(await (mine.ended ? mine.stream.finish() : mine.stream.push(piece))));
  mine.events.sort(byStart);
  return true;
}

const scorer = (mine) => ({
  rules: spec.rules,
  steps: spec.steps,
  scores: async (clip, first) => (await hear(mine, first, clip))[spec.outputs.steps],
});

/** Hear a window, keep what the page shows of it, and return the file's outputs. */
async function hear(mine, start, clip) {
  const before = performance.now();
  const outputs = await models.embed(clip);
  const ms = performance.now() - before;
  const [embedding, scores] = [outputs[spec.outputs.embedding], outputs[spec.outputs.scores]];
  const energy = clip.reduce((sum, value) => sum + value * value, 0);
  mine.windows.push({ start, embedding, scores, ms, energy, point: landmarks.place(embedding), nearest: isSilent(clip, spec) ? null : landmarks.nearest(embedding) });
  return outputs;
}

const loudest = (windows) => windows.reduce((best, { energy }, index) => (energy > windows[best].energy ? index : best), 0);

/** The user looks at another window. */
function pick(index) {
  take.picked = true;
  view.choose(index, models);
}

async function record() {
  if (stopListening) return stopRecording();
  start({ name: 'Microphone', file: 'microphone', samples: new Float32Array(0), whole: false });
  const mine = take;
  at('record').disabled = true; // while the browser asks
  try {
    stopListening = await listen(spec.sample_rate_hz, (samples) => {
      if (mine.whole) return;
      mine.samples = samples;
      hearOn(mine);
      if (samples.length >= MAX_S * spec.sample_rate_hz) stopRecording();
    });
    at('record').textContent = 'Stop';
    at('record').classList.add('recording');
  } catch (error) {
    say(error.message, true);
  }
  at('record').disabled = false;
}

async function stopRecording() {
  if (!stopListening) return;
  const stop = stopListening;
  stopListening = null;
  at('record').textContent = 'Record';
  at('record').classList.remove('recording');
  take.whole = true;
  await stop();
  await hearOn(take);
}

function playWindow() {
  const { start } = take.windows[take.chosen];
  play(take.samples, start, start + spec.clip_samples, spec.sample_rate_hz);
}

/** Look at the window in whose middle, more or less, a sample lies. */
function lookAt(sample) {
  const far = take.windows.map((window) => Math.abs(window.start + spec.clip_samples / 2 - sample));
  if (far.length) pick(far.indexOf(far.reduce((least, value) => Math.min(least, value))));
}

const point = (event) => take && lookAt((event.offsetX / event.target.clientWidth) * take.samples.length);
const openFile = (file) => file && models && open(file.name, () => file.arrayBuffer());
at('record').onclick = record;
at('choose').onclick = () => at('picker').click();
at('picker').onchange = ({ target }) => {
  openFile(target.files[0]);
  target.value = ''; // so that the same file can be chosen again
};
at('play').onclick = playWindow;
at('window').oninput = ({ target }) => pick(Number(target.value));
at('wave').onclick = at('strip').onclick = point;
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('dragenter', () => document.body.classList.add('dropping'));
addEventListener('dragleave', (event) => event.relatedTarget ?? document.body.classList.remove('dropping'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  openFile(event.dataTransfer.files[0]);
});
const fail = (error) => {
  say(`The page can't go on: ${error.message ?? error}`, true);
  document.body.dataset.state = 'failed';
};
addEventListener('unhandledrejection', ({ reason }) => fail(reason));
begin().catch(fail);
