// The microphone, as raw as a browser gives it: its speech processing would change what the network hears.
const RAW = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/**
 * Calls `hear` with all samples so far, Float32Array at `rate`, ten times a second, until the function that it gives is called.
 * Throws Error with a text for users.
 */
export async function listen(rate, hear) {
  if (!navigator.mediaDevices) throw new Error('No microphone here: browsers give it to localhost and https only. Open this page as http://localhost.');
  const stream = await navigator.mediaDevices.getUserMedia({ audio: RAW }).catch((error) => {
    throw new Error(error.name === 'NotAllowedError' ? 'The microphone is not allowed; the browser lets you change that beside the address.' : `No microphone: ${error.message}`);
  });
  const context = new AudioContext({ sampleRate: rate });
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop());
    return context.close();
  };
  let samples = new Float32Array(60 * rate);
  let length = 0;
  try {
    await context.audioWorklet.addModule('recorder.js');
    const node = new AudioWorkletNode(context, 'recorder');
    node.port.onmessage = ({ data }) => {
      if (length + data.length > samples.length) {
        const longer = new Float32Array(2 * samples.length);
        longer.set(samples);
        samples = longer;
      }
      samples.set(data, length);
      length += data.length;
      hear(samples.subarray(0, length));
    };
    context.createMediaStreamSource(stream).connect(node);
  } catch (error) {
    await stop();
    throw new Error(`This browser can't record at ${rate} Hz (${error.message}). Chrome can; or open a file.`);
  }
  return stop;
}
