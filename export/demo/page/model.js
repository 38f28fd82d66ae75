// The exported file and its frontend in LiteRT.js: one thread of WebAssembly, no GPU, so that it computes what Python computes.
import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';

/** Both as functions of a clip, Float32Array [samples]: embed gives the file's outputs by name; image [frames * mels] row by row. */
export async function openModels(spec) {
  globalThis.Module = { printErr: (text) => console.debug(text) }; // LiteRT's log; Emscripten would write it as errors
  await loadLiteRt(beside('litert/core/wasm/'));
  const [model, frontend] = [await open(beside('model.tflite'), spec), await open(beside('frontend.tflite'), spec)];
  return { embed: model, image: async (clip) => (await frontend(clip)).image };
}

/** Where a file of the page is: the page may lie in any folder of a server. */
const beside = (path) => new URL(path, import.meta.url).href;

async function open(url, { input, clip_samples }) {
  const compiled = await loadAndCompile(url, { accelerator: 'wasm' });
  return async (clip) => {
    const given = new Tensor(clip, [1, clip_samples]);
    const outputs = await compiled.run({ [input]: given });
    const values = Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.toTypedArray().slice()]));
    [given, ...Object.values(outputs)].forEach((tensor) => tensor.delete()); // wasm memory is not garbage collected
    return values;
  };
}

/** Distance of two vectors, of the first one's length. */
export function distance(expected, found) {
  const difference = expected.map((value, i) => value - found[i]);
  return Math.hypot(...difference) / Math.max(Math.hypot(...expected), 1e-6);
}
