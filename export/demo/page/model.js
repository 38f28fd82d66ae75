// The exported file and its frontend in LiteRT.js: one thread of WebAssembly, no GPU, so that it computes what Python computes.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';

/** Both as functions of a clip, Float32Array [samples]: embed gives [dim], and the head's scores where it has one; image [frames * mels] row by row. */
export async function openModels(samples) {
  globalThis.Module = { printErr: (text) => console.debug(text) }; // LiteRT's log; Emscripten would write it as errors
  await loadLiteRt('/litert/core/wasm/');
  const [model, frontend] = [await open('/model.tflite', samples), await open('/frontend.tflite', samples)];
  return { embed: model, image: async (clip) => (await frontend(clip))[0] };
}

async function open(url, samples) {
  const compiled = await loadAndCompile(url, { accelerator: 'wasm' });
  return async (clip) => {
    const input = new Tensor(clip, [1, samples]);
    const outputs = await compiled.run(input);
    const values = outputs.map((tensor) => tensor.toTypedArray().slice());
    [input, ...outputs].forEach((tensor) => tensor.delete()); // wasm memory is not garbage collected
    return values;
  };
}

/** Distance of two vectors, of the first one's length. */
export function distance(expected, found) {
  const difference = expected.map((value, i) => value - found[i]);
  return Math.hypot(...difference) / Math.max(Math.hypot(...expected), 1e-6);
}
