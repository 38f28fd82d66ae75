// What the page shows: texts, lists and pictures of a take {name, samples, whole, windows: [{start, embedding, ms, energy, point, nearest}], chosen}.
import { colourOf, drawImage, drawMap, drawScores, shapeOf, title } from './draw.js';
import { EventView, heardSeconds } from './eventview.js';
import { clipStarts, cut } from './sound.js';
import { clock, drawStrip, drawWave } from './timeline.js';

export const at = (id) => document.getElementById(id);
const make = (kind, properties, ...children) => {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
};

export class View {
  constructor(spec, landmarks, look) {
    Object.assign(this, { spec, landmarks, take: null, image: null, events: spec.rules && new EventView(spec, look) });
    at('strip').hidden = at('band').hidden = Boolean(spec.rules); // the events are below the waveform
    at('file').textContent = `${spec.name}: ${spec.size}, ${spec.precision}, ${(spec.bytes / 1e6).toFixed(2)} MB, ${spec.dim} dimensions`;
    at('teacher').textContent = [`Teacher: ${spec.surrogate_note || spec.teacher}`, spec.gate_passed ? '' : 'This file failed its quality gate']
      .filter(Boolean).map((text) => `${text}.`).join(' ');
    at('licence').textContent = `Licence of the file: ${spec.licence}. ${spec.notice}`;
    at('axes').textContent = `marks: examples, on their two principal axes (${spec.shares.map((share) => `${(100 * share).toFixed(0)} %`).join(' and ')} of variance); rings: windows of your sound, the large one tied to its nearest example`;
    at('legend').append(...spec.classes.map((label) => make('span', {}, this.key(label), title(label))));
    this.labels = (spec.head ?? []).map(({ name }) => name);
    at('said').textContent = spec.rules
      ? 'Events are found by a classifier under test: some are missing, some are wrong, and none says anything about anybody\'s health.'
      : spec.head
        ? 'Its scores are those of a classifier under test, and say nothing about anybody\'s health.'
        : 'This page shows an embedding only, a position among sounds: no label, no score, nothing about anybody\'s health.';
    new ResizeObserver(() => this.redraw()).observe(document.body);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
  }

  /** A button for each synthetic sound; its mark is the key to the map's colours. */
  offer(pick) {
    at('sounds').append(...this.spec.classes.map((label) => make('button', { disabled: true, onclick: () => pick(label) }, this.key(label), title(label))));
  }

  key(label, labels = this.spec.classes) {
    const mark = make('span', { className: 'key', textContent: shapeOf(labels, label) });
    mark.style.color = colourOf(labels, label);
    return mark;
  }

  seconds(samples) {
    return `${(samples / this.spec.sample_rate_hz).toFixed(2)} s`;
  }

  async show(take, models) {
    const { windows } = take;
    this.take = take;
    say(`${take.name}: ${this.events ? this.progress(take) : this.counted(take)}`);
    ['heard', 'spectrogram', 'likeness'].forEach((id) => (at(id).hidden = !windows.length));
    at('head').hidden = !windows.length || !this.spec.head || Boolean(this.events);
    at('events').hidden = !this.events;
    this.events?.show(take);
    if (!windows.length) return this.redraw();
    at('window').max = windows.length - 1;
    at('window').disabled = windows.length === 1;
    const ms = windows.map((window) => window.ms).sort((a, b) => a - b)[windows.length >> 1];
    const runtime = `LiteRT.js ${this.spec.litert}, WebAssembly, 1 thread`;
    fact('Latency', `${ms.toFixed(1)} ms a window, raw audio to embedding (median of ${windows.length}; this browser, ${runtime})`);
    await this.choose(take.chosen, models);
  }

  counted({ windows, samples, whole }) {
    const all = clipStarts(samples.length, this.spec, whole).length;
    return `${this.seconds(samples.length)}, ${windows.length < all ? `${windows.length} of ` : ''}${all} window${all === 1 ? '' : `s of ${this.spec.clip_s} s, one every ${this.seconds(this.spec.hop_samples)}`}`;
  }

  progress(take) {
    const [heard, length] = [heardSeconds(take, this.spec.sample_rate_hz), take.samples.length / this.spec.sample_rate_hz];
    const found = `${take.events.length} event${take.events.length === 1 ? '' : 's'}`;
    return take.ended ? `${clock(length, 2)} heard, ${found}` : `${clock(heard)}${take.whole ? ` of ${clock(length)}` : ''} heard, ${found} so far`;
  }

  async choose(index, models) {
    const { take, spec } = this;
    const window = take.windows[index];
    take.chosen = index;
    at('window').value = index;
    const time = (sample) => (this.events ? clock(sample / spec.sample_rate_hz, 2) : this.seconds(sample));
    at('when').textContent = `${time(window.start)} to ${time(window.start + spec.clip_samples)}`;
    const rows = (window.nearest ?? []).map((example) => this.row(example));
    at('nearest').replaceChildren(...(rows.length ? rows : ['Silence: nothing was recorded in this window.']));
    at('scores').replaceChildren(...(spec.head ?? []).map((label, i) => this.score(label, window.scores[i])));
    fact('Embedding', `[${Array.from(window.embedding.slice(0, 4), (value) => value.toFixed(4)).join(', ')}, …] of this window`);
    this.image = await models.image(cut(take.samples, window.start, spec));
    this.redraw();
  }

  row({ label, cosine }) {
    const bar = make('span', { className: 'bar' });
    bar.style.width = `${100 * Math.max(0, cosine)}%`;
    bar.style.background = colourOf(this.spec.classes, label);
    return make('li', {}, make('span', {}, this.key(label), title(label)), bar, make('span', { textContent: cosine.toFixed(2) }));
  }

  score({ name, threshold }, value) {
    const side = `${value >= threshold ? 'at or above' : 'below'} its threshold of ${threshold.toFixed(3)}`;
    return make('li', {}, make('span', {}, this.key(name, this.labels), name), make('span', { textContent: value.toFixed(3) }), make('span', { textContent: side }));
  }

  redraw() {
    const { take, spec } = this;
    drawMap(at('map'), this.landmarks, spec.classes, take?.windows ?? [], take?.chosen);
    this.events?.redraw();
    if (!take?.windows.length) return;
    drawWave(at('wave'), take.samples, take.outline, { start: take.windows[take.chosen].start, length: spec.clip_samples });
    if (this.image) drawImage(at('image'), this.image, spec);
    if (this.events) return;
    drawStrip(at('strip'), take.windows, take.samples.length, spec);
    if (spec.head) drawScores(at('curves'), take, spec);
  }
}

export function say(text, bad = false) {
  at('status').textContent = text;
  at('status').classList.toggle('error', bad);
}

/** A line of facts below everything, replaced when it is there already. */
export function fact(name, text) {
  const known = [...at('facts').children].find((element) => element.textContent === name);
  if (known) known.nextSibling.textContent = text;
  else at('facts').append(make('dt', { textContent: name }), make('dd', { textContent: text }));
}
