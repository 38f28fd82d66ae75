// From a file to samples, and from samples to clips, as hearlite/audio.py does it. Constants come from the manifest (`spec`).

/** {samples: mono Float32Array at spec.sample_rate_hz, exact: whether they are to the bit what Python reads} from a file's bytes. */
export async function decode(bytes, spec) {
  const exact = readPcm16(bytes, spec);
  if (exact) return { samples: exact, exact: true };
  // The browser decodes and resamples to the context's rate. It scales PCM in its own way (Chromium: positive values by 1 / 32767).
  const decoded = await new OfflineAudioContext(1, 1, spec.sample_rate_hz).decodeAudioData(bytes);
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, channel) => decoded.getChannelData(channel));
  return { samples: average(channels), exact: false };
}

/** A 16-bit PCM WAV that has the right rate: int16 / full scale, to the bit what Python reads. null for everything else. */
export function readPcm16(bytes, spec) {
  const view = new DataView(bytes);
  const tag = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  if (bytes.byteLength < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') return null;
  let channels = 0;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (body + size > bytes.byteLength) return null; // truncated or unfinished: the browser may know better
    if (tag(at) === 'fmt ') {
      if (size < 16 || view.getUint16(body, true) !== 1 || view.getUint16(body + 14, true) !== 16) return null;
      if (view.getUint32(body + 4, true) !== spec.sample_rate_hz) return null;
      channels = view.getUint16(body + 2, true);
    } else if (tag(at) === 'data' && channels) {
      const frames = Math.floor(size / (2 * channels));
      const scaled = (channel) => Float32Array.from({ length: frames }, (_, i) => view.getInt16(body + 2 * (i * channels + channel), true) / spec.pcm_full_scale);
      return average(Array.from({ length: channels }, (_, channel) => scaled(channel)));
    }
    at = body + size + (size % 2);
  }
  return null;
}

function average(channels) {
  if (channels.length === 1) return channels[0];
  const mono = Float32Array.from(channels[0]);
  for (const channel of channels.slice(1)) channel.forEach((value, i) => (mono[i] += value)); // float32 sums, as numpy's
  return mono.map((sum) => sum / channels.length);
}

/** First samples of the clips of a sound: one every hop while it fits and, when the sound is `whole`, one more that ends where it ends. */
export function clipStarts(length, spec, whole = true) {
  const starts = [];
  for (let start = 0; start + spec.clip_samples <= length; start += spec.hop_samples) starts.push(start);
  const covered = starts.length ? starts.at(-1) + spec.clip_samples : 0;
  if (whole && covered < length) starts.push(Math.max(0, length - spec.clip_samples));
  return starts;
}

/** The clip that starts at a sample, zeros after the sound's end. */
export function cut(samples, start, spec) {
  const clip = new Float32Array(spec.clip_samples);
  clip.set(samples.subarray(start, start + spec.clip_samples));
  return clip;
}

/** Nothing was recorded: the peak, or the range around a constant offset, is below one step of int16. */
export function isSilent(clip, spec) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of clip) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return Math.max(-low, high) * spec.pcm_full_scale < 1 || (high - low) * spec.pcm_full_scale < 1;
}
