// What page/events.js makes of the vectors of event_vectors.py: node events_test.mjs VECTORS PAGE, as JSON on stdout.
import { readFileSync } from 'node:fs';

const [path, page] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(path, 'utf8'));
const { asAudacity, asCsv, byStart, EventDetector, EventStream, rates, ScoreTimeline } = await import(`${page}/events.js`);
const rows = (list) => list.map((row) => [...row]);

const detector = cases.detector.map(({ rules, scores }) => {
  const found = new EventDetector(rules);
  return { pushed: found.push(scores.map((row) => Float32Array.from(row))), left: found.finish() };
});

const timeline = cases.timeline.map(({ steps, firsts, windows }) => {
  const joined = new ScoreTimeline(steps, 2);
  const ready = firsts.map((first, i) => rows(joined.add(first, Float32Array.from(windows[i]))));
  return { ready, left: rows(joined.finish()) };
});

const scorer = (rules) => ({
  rules,
  steps: cases.steps,
  scores: async (clip) => {
    const width = clip.length / cases.steps;
    return Float32Array.from({ length: 2 * cases.steps }, (_, i) => {
      const part = clip.subarray((i >> 1) * width, ((i >> 1) + 1) * width).map(Math.abs);
      return i % 2 ? part[part.length >> 1] : part.reduce((high, value) => Math.max(high, value));
    });
  },
});

const stream = [];
for (const { rules, samples, seconds } of cases.stream) {
  const sound = Float32Array.from(samples, (value) => value / 4 / cases.audio.pcm_full_scale);
  const ways = [];
  for (const piece of [sound.length, 1600, 33333]) {
    const heard = new EventStream(scorer(rules), cases.audio);
    const found = [];
    for (let at = 0; at < sound.length; at += piece) found.push(...(await heard.push(sound.subarray(at, at + piece))));
    found.push(...(await heard.finish()));
    const ordered = [...found].sort(byStart);
    ways.push({ events: found, timeline: rows(heard.timeline), rates: rates(found, rules, seconds), csv: asCsv('a, b.wav', ordered), audacity: asAudacity(ordered) });
  }
  stream.push(ways);
}

console.log(JSON.stringify({ detector, timeline, stream }));
