// The events of a take on the page: how many there are of each class, and a list to hear and to keep.
import { colourOf, shapeOf, title } from './draw.js';
import { asAudacity, asCsv, rates } from './events.js';
import { play } from './player.js';
import { clock, drawTimeline } from './timeline.js';

const AROUND_S = 0.2; // before and after an event, when it is played
const at = (id) => document.getElementById(id);
const make = (kind, properties, ...children) => {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
};

export class EventView {
  /** `look` is called with a sample that the user wants to look at. */
  constructor(spec, look) {
    Object.assign(this, { spec, look, take: null });
    this.labels = spec.rules.classes.map(({ label }) => label);
    at('span').onchange = () => this.redraw();
    at('timeline').onclick = ({ offsetX, target }) => {
      const { from, to } = this.range();
      look((from + (offsetX / target.clientWidth) * (to - from)) * spec.sample_rate_hz);
    };
    at('csv').onclick = () => this.save('.events.csv', 'text/csv', asCsv(this.take.file, this.take.events));
    at('audacity').onclick = () => this.save('.labels.txt', 'text/plain', asAudacity(this.take.events));
  }

  show(take) {
    const { rules, sample_rate_hz } = this.spec;
    const rows = at('list').tBodies[0];
    if (take !== this.take) rows.replaceChildren();
    this.take = take;
    // Few are new, and most of them come last.
    take.events.forEach((event, i) => rows.rows[i]?.event !== event && rows.insertBefore(this.row(event), rows.rows[i] ?? null));
    const counted = rates(take.events, rules, heardSeconds(take, sample_rate_hz));
    at('counts').tBodies[0].replaceChildren(...counted.map(({ label, count, perHour }, i) => this.count(label, [count, perHour.toFixed(perHour < 10 ? 1 : 0), rules.classes[i].on.toFixed(2)])));
    at('timeline').hidden = !take.samples.length;
    at('zoom').hidden = take.samples.length <= 10 * sample_rate_hz; // the least that can be chosen
    at('listed').hidden = !take.events.length;
    at('csv').disabled = at('audacity').disabled = !take.events.length;
    at('reckoned').textContent = take.events.length ? `An hour: reckoned from the ${clock(heardSeconds(take, sample_rate_hz))} heard.` : take.ended ? 'No event was found.' : 'No event so far; one is listed about two seconds after its end.';
  }

  redraw() {
    if (this.take?.samples.length) drawTimeline(at('timeline'), this.take, this.range(), this.spec);
  }

  /** The seconds that the timeline shows. */
  range() {
    const { samples, windows, chosen } = this.take;
    const all = samples.length / this.spec.sample_rate_hz;
    const length = Math.min(Number(at('span').value) || all, all);
    const middle = (windows[chosen]?.start ?? 0) / this.spec.sample_rate_hz + this.spec.clip_s / 2;
    const from = Math.min(Math.max(middle - length / 2, 0), all - length);
    return { from, to: from + length };
  }

  named(label) {
    const mark = make('span', { className: 'key', textContent: shapeOf(this.labels, label), ariaHidden: 'true' });
    mark.style.color = colourOf(this.labels, label);
    return [mark, title(label)];
  }

  count(label, cells) {
    return make('tr', {}, make('th', { scope: 'row' }, ...this.named(label)), ...cells.map((text) => make('td', {}, text)));
  }

  row(event) {
    const [time, rate] = [clock(event.start, 2), this.spec.sample_rate_hz];
    const onclick = () => {
      play(this.take.samples, (event.start - AROUND_S) * rate, (event.end + AROUND_S) * rate, rate);
      this.look(event.peak * rate);
    };
    const button = make('button', { onclick, ariaLabel: `Play ${title(event.label)} at ${time}` }, 'Play');
    const cells = [[time], this.named(event.label), [event.score.toFixed(2)], [`${(event.end - event.start).toFixed(2)} s`], [button]];
    return Object.assign(make('tr', {}, ...cells.map((content) => make('td', {}, ...content))), { event });
  }

  /** Hand a file to the user, called after the recording. */
  save(ending, type, text) {
    const href = URL.createObjectURL(new Blob([text], { type }));
    make('a', { href, download: this.take.file.replace(/\.[^.]*$/, '') + ending }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000); // when it has surely been read
  }
}

/** How much of a take has been heard, in seconds. */
export const heardSeconds = ({ samples, taken }, rate) => Math.min(taken, samples.length) / rate;
