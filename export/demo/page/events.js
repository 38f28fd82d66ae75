// From scores over time to events, as hearlite/events does it: equal scores give equal events. No DOM here, so that tests can run it alone.
import { isSilent } from './sound.js';

const BEFORE = { lowFrom: -1, first: -1, last: -1, score: 0, peak: -1 }; // numbers of steps, -1: none

/** Joins the scores of windows that follow each other by half their steps: those of a step are the mean over the windows that hold it. */
export class ScoreTimeline {
  constructor(steps, classes) {
    Object.assign(this, { steps, classes, hop: Math.max(1, Math.floor(steps / 2)), first: 0 });
    this.sums = new Float64Array(steps * classes);
    this.counts = new Float64Array(steps);
  }

  /** Adds a window [steps * classes] that starts at step `first`, and returns the steps before it, which no later one holds. */
  add(first, scores) {
    const ready = this.#take(first - this.first);
    this.sums.forEach((sum, i) => (this.sums[i] = sum + scores[i]));
    this.counts.forEach((count, i) => (this.counts[i] = count + 1));
    return ready;
  }

  /** The steps that are left. */
  finish() {
    return this.#take(this.steps);
  }

  #take(count) {
    const heard = this.counts.filter((value) => value > 0).length; // 0 before the first window
    const mean = (step) => Float32Array.from({ length: this.classes }, (_, i) => this.sums[step * this.classes + i] / Math.max(this.counts[step], 1));
    const ready = Array.from({ length: Math.min(count, heard) }, (_, step) => mean(step));
    for (const [values, width] of [[this.sums, this.classes], [this.counts, 1]]) {
      values.copyWithin(0, count * width);
      values.fill(0, (this.steps - count) * width);
    }
    this.first += count;
    return ready;
  }
}

/** Finds events {label, start, end, score, peak}, times in seconds, in scores that come step by step. */
export class EventDetector {
  constructor(rules) {
    this.rules = rules;
    this.shortest = Math.max(1, rint(rules.shortest_s / rules.step_s)); // steps
    this.gap = Math.max(0, rint(rules.gap_s / rules.step_s));
    this.now = 0;
    this.open = rules.classes.map(() => ({ ...BEFORE }));
  }

  /** The events that end with these steps, a row [classes] each, in the order in which they end. */
  push(rows) {
    return rows.flatMap((row) => {
      const ended = [...row].flatMap((score, index) => this.#step(index, score));
      this.now++;
      return ended;
    });
  }

  /** The events that are still going on: the sound has ended. */
  finish() {
    return this.open.flatMap((_, index) => this.#close(index));
  }

  #step(index, score) {
    const [{ on, off }, state] = [this.rules.classes[index], this.open[index]];
    if (score < off) {
      state.lowFrom = -1;
      return state.first >= 0 && this.now - state.last > this.gap ? this.#close(index) : [];
    }
    if (state.lowFrom < 0) state.lowFrom = this.now;
    if (state.first < 0 && score >= on) Object.assign(state, { first: state.lowFrom, score: -1 });
    if (state.first >= 0) {
      state.last = this.now;
      if (score > state.score) Object.assign(state, { score, peak: this.now });
    }
    return [];
  }

  #close(index) {
    const { first, last, score, peak } = this.open[index];
    this.open[index] = { ...BEFORE };
    if (first < 0 || last + 1 - first < this.shortest) return [];
    const step = this.rules.step_s;
    return [{ label: this.rules.classes[index].label, start: first * step, end: (last + 1) * step, score, peak: (peak + 0.5) * step }];
  }
}

/**
 * Finds events in samples as they come, at spec.sample_rate_hz. An event comes out when it has ended and the windows that hold it have
 * been heard, about two seconds later. How the sound is cut into pieces makes no difference. `timeline` has the scores so far, a row a step.
 *
 * The scorer has `rules`, `steps` and scores(clip, first), which gives [steps * classes], maybe later, of the clip from sample `first` on.
 */
export class EventStream {
  constructor(scorer, spec) {
    Object.assign(this, { scorer, spec, timeline: [] });
    this.detector = new EventDetector(scorer.rules);
    this.scores = new ScoreTimeline(scorer.steps, scorer.rules.classes.length);
    this.step = Math.floor(spec.clip_samples / scorer.steps); // samples
    this.held = new Float32Array(0); // from the last window's start, which the last one needs
    this.heldFrom = this.next = this.heard = 0; // first sample of the next window; end of the last one
  }

  /** Takes the next samples, and returns the events that have ended. */
  async push(samples) {
    const held = new Float32Array(this.held.length + samples.length);
    held.set(this.held);
    held.set(samples, this.held.length);
    this.held = held;
    const found = [];
    while (this.heldFrom + this.held.length >= this.next + this.spec.clip_samples) {
      found.push(...(await this.#hear(this.next)));
      this.held = this.held.subarray(this.next - this.heldFrom);
      this.heldFrom = this.next;
      this.next += this.scores.hop * this.step;
    }
    return found;
  }

  /** The events that are left: the sound has ended. */
  async finish() {
    const total = this.heldFrom + this.held.length;
    // One more window, of whole steps, that reaches the end; zeros may follow it.
    const last = Math.max(0, Math.ceil((total - this.spec.clip_samples) / this.step) * this.step);
    const found = total > this.heard ? await this.#hear(last) : [];
    const sounding = Math.ceil(total / this.step) - this.scores.first; // the other steps hold zeros alone
    found.push(...this.#found(this.scores.finish().slice(0, Math.max(0, sounding))), ...this.detector.finish());
    return found.map((event) => ({ ...event, end: Math.min(event.end, total / this.spec.sample_rate_hz) }));
  }

  async #hear(first) {
    const clip = new Float32Array(this.spec.clip_samples);
    const sound = this.held.subarray(first - this.heldFrom).subarray(0, clip.length);
    sound.forEach((value, i) => (clip[i] = rounded(value, this.spec.pcm_full_scale)));
    const none = new Float32Array(this.scorer.steps * this.scorer.rules.classes.length);
    const scores = isSilent(clip, this.spec) ? none : await this.scorer.scores(clip, first); // a spectrogram of silence is one of rounding errors
    this.heard = first + clip.length;
    return this.#found(this.scores.add(first / this.step, scores));
  }

  #found(rows) {
    this.timeline.push(...rows);
    return this.detector.push(rows);
  }
}

/** {label, count, perHour} of each class, in a sound of so many seconds. */
export function rates(events, rules, seconds) {
  const count = (label) => events.filter((event) => event.label === label).length;
  return rules.classes.map(({ label }) => ({ label, count: count(label), perHour: seconds ? (count(label) * 3600) / seconds : 0 }));
}

export const byStart = (a, b) => a.start - b.start || (a.label < b.label ? -1 : a.label > b.label ? 1 : 0);

/** The table that `hearlite listen` writes. */
export function asCsv(file, events) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const row = ({ label, start, end, peak, score }) => [cell(file), cell(label), ...[start, end, peak].map((time) => time.toFixed(3)), score.toFixed(4)].join(',');
  return ['file,label,start_s,end_s,peak_s,score', ...events.map(row), ''].join('\n');
}

/** A label track of Audacity: start, end and label, with tabs between. */
export function asAudacity(events) {
  return events.map(({ label, start, end }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${label}\n`).join('');
}

/** To a step of int16, as the clips of every dataset are. */
function rounded(value, fullScale) {
  if (!Number.isFinite(value)) throw new Error('the sound holds NaN or infinite values');
  return Math.min(Math.max(rint(value * fullScale), -fullScale), fullScale - 1) / fullScale;
}

/** Halves to the even neighbour, as Python and numpy round. */
function rint(value) {
  const [low, rest] = [Math.floor(value), value - Math.floor(value)];
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}
