// Plays parts of a sound, one at a time.
let context = null;
let playing = null;

/** Play the samples from `start` up to `end`, as far as there are any. */
export function play(samples, start, end, rate) {
  context ??= new AudioContext();
  playing?.stop();
  const part = samples.slice(Math.max(0, Math.round(start)), Math.min(samples.length, Math.round(end)));
  const buffer = new AudioBuffer({ length: Math.max(1, part.length), sampleRate: rate });
  buffer.copyToChannel(part, 0);
  playing = new AudioBufferSourceNode(context, { buffer });
  playing.connect(context.destination);
  playing.start();
}
