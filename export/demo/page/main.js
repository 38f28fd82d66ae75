// The page: a sound comes in, its windows go through the model one by one, and everything is shown as it becomes known.
import { title } from './draw.js';
import { Landmarks } from './landmarks.js';
import { listen } from './microphone.js';
import { distance, openModels } from './model.js';
import { clipStarts, cut, decode, isSilent } from './sound.js';
import { at, fact, say, View } from './view.js';

const MAX_S = 3600; // an hour is 230 MB of samples in the page; hearlite embed takes longer ones
const bytes = async (path) => (await fetch(path)).arrayBuffer();

let landmarks, player;
let stopListening = null;
export let spec, models, view; // of the file
export let take = null; // the sound on the page, see view.js

async function begin() {
  spec = await (await fetch('demo.json')).json();
  landmarks = new Landmarks(new Float32Array(await bytes('landmarks.f32')), spec);
  view = new View(spec, landmarks);
  view.offer((label) => open(`${title(label)}, synthetic`, () => bytes(`sounds/${label}.wav`)));
  models = await openModels(spec.clip_samples);
  await selfTest();
  document.querySelectorAll('button').forEach((button) => (button.disabled = false));
  say('Ready.');
  document.body.dataset.state = 'ready';
}

/** The golden sound must give the embedding that Python got when it wrote the file; it also warms the runtime up. */
async function selfTest() {
  const [found] = await models.embed(cut((await decode(await bytes('golden.wav'), spec)).samples, 0, spec));
  const off = distance(spec.golden_embedding, found);
  const same = spec.golden_embedding.every((value, i) => Math.fround(value) === found[i]);
  if (!(off <= spec.golden_tolerance)) throw new Error(`this browser's embedding of the golden sound is off by ${off} of its length, allowed is ${spec.golden_tolerance}`);
  fact('Self-test', `the golden sound's embedding is Python's${same ? ', bit by bit' : `, but for ${off.toExponential(1)} of its length`}`);
}

async function open(name, read) {
  await stopRecording();
  say(`Reading ${name} …`);
  try {
    const { samples, exact } = await decode(await read(), spec);
    if (samples.length < 2) throw new Error('it holds no sound');
    if (samples.length > MAX_S * spec.sample_rate_hz) throw new Error(`it is longer than ${MAX_S / 60} minutes, cut it or use hearlite embed`);
    start({ name: exact ? name : `${name}, decoded by the browser`, samples, whole: true });
    hearOn(take);
  } catch (error) {
    say(`${name} can't be read: ${error.message}. A WAV of 16 bits is the safest.`, true);
  }
}

function start(sound) {
  take = { ...sound, windows: [], chosen: 0, picked: false, busy: false };
  document.body.dataset.state = 'hearing';
}

/** Hear the windows that are due, one after the other, until there are none or another sound has come. */
async function hearOn(mine) {
  if (mine.busy) return;
  mine.busy = true;
  let shown = performance.now();
  const due = () => (mine === take ? clipStarts(mine.samples.length, spec, mine.whole)[mine.windows.length] : undefined);
  for (let first = due(); first !== undefined; first = due()) {
    mine.windows.push(await hear(mine, first));
    if (!mine.whole) mine.chosen = mine.windows.length - 1;
    else if (!mine.picked) mine.chosen = loudest(mine.windows);
    if (performance.now() - shown > 100) {
      await view.show(mine, models);
      await new Promise((resume) => setTimeout(resume)); // lets the page answer
      shown = performance.now();
    }
  }
  mine.busy = false;
  if (mine !== take) return;
  await view.show(mine, models);
  if (mine.whole) document.body.dataset.state = 'done';
}

async function hear(mine, first) {
  const clip = cut(mine.samples, first, spec);
  const before = performance.now();
  const [embedding, scores] = await models.embed(clip);
  const ms = performance.now() - before;
  const energy = clip.reduce((sum, value) => sum + value * value, 0);
  return { start: first, embedding, scores, ms, energy, point: landmarks.place(embedding), nearest: isSilent(clip, spec) ? null : landmarks.nearest(embedding) };
}

const loudest = (windows) => windows.reduce((best, { energy }, index) => (energy > windows[best].energy ? index : best), 0);

/** The user looks at another window. */
function pick(index) {
  take.picked = true;
  view.choose(index, models);
}

async function record() {
  if (stopListening) return stopRecording();
  start({ name: 'Microphone', samples: new Float32Array(0), whole: false });
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

function play() {
  player ??= new AudioContext();
  const clip = cut(take.samples, take.windows[take.chosen].start, spec);
  const source = new AudioBufferSourceNode(player, { buffer: new AudioBuffer({ length: clip.length, sampleRate: spec.sample_rate_hz }) });
  source.buffer.copyToChannel(clip, 0);
  source.connect(player.destination);
  source.start();
}

/** The window in whose middle, more or less, the user pointed. */
function point(event) {
  const sample = (event.offsetX / event.target.clientWidth) * take.samples.length - spec.clip_samples / 2;
  const far = take.windows.map((window) => Math.abs(window.start - sample));
  pick(far.indexOf(Math.min(...far)));
}

const openFile = (file) => file && models && open(file.name, () => file.arrayBuffer());
at('record').onclick = record;
at('choose').onclick = () => at('picker').click();
at('picker').onchange = ({ target }) => {
  openFile(target.files[0]);
  target.value = ''; // so that the same file can be chosen again
};
at('play').onclick = play;
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
