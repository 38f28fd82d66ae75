package hearlite.core

import java.io.ByteArrayInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The error that [action] ends with; fails when it doesn't. */
fun refused(action: () -> Unit): String {
    try {
        action()
    } catch (error: HearliteException) {
        return error.message!!
    }
    throw AssertionError("nothing was refused")
}

/** Embeds a clip as [first sample, last sample]. */
class EndsEmbedder : Embedder {
    override val runtime = "fake"
    var calls = 0

    override fun embed(clip: FloatArray): FloatArray {
        calls++
        return floatArrayOf(clip.first(), clip.last())
    }
}

/** A manifest's text: 8 Hz, clips of 1 s, dim 2, with [changes] to what it says. */
fun manifestText(vararg changes: Pair<String, String>): String {
    val text = """
        {"schema": "hearlite-manifest/1", "name": "tiny.tflite", "precision": "i8", "signature": "embed", "input": "audio", "output": "embedding",
         "dim": 2, "audio": {"sample_rate_hz": 8, "clip_s": 1.0, "pcm_full_scale": 4}, "student": {"frontend": {"sample_rate_hz": 8, "high_hz": 3.5}},
         "teacher": {"name": "fake", "surrogate_note": "a fake"}, "licence": "CC0-1.0", "notice": "", "gate_passed": true,
         "golden_embedding": [1.5, -2e0], "golden_tolerance": 0.05, "tflite_sha256": "$SHA256_OF_ABC"}
    """
    return changes.fold(text) { old, (from, to) -> old.replace(from, to).also { check(it != old) { "$from is not there" } } }
}

/** FIPS 180-2, appendix B.1: of the bytes "abc". */
const val SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/** A WAV in memory; `data` is what follows the data chunk's header, which promises [promised] bytes. */
fun wav(rateHz: Int, channels: Int, bits: Int, tag: Int, data: ByteArray, promised: Int = data.size, before: ByteArray = ByteArray(0)): ByteArrayInputStream {
    val buffer = ByteBuffer.allocate(44 + before.size + data.size).order(ByteOrder.LITTLE_ENDIAN)
    buffer.put("RIFF".toByteArray()).putInt(36 + before.size + data.size).put("WAVEfmt ".toByteArray()).putInt(16)
    buffer.putShort(tag.toShort()).putShort(channels.toShort()).putInt(rateHz).putInt(rateHz * channels * bits / 8)
    buffer.putShort((channels * bits / 8).toShort()).putShort(bits.toShort()).put(before)
    buffer.put("data".toByteArray()).putInt(promised).put(data)
    return ByteArrayInputStream(buffer.array())
}

fun pcm16(vararg samples: Int): ByteArray {
    val buffer = ByteBuffer.allocate(2 * samples.size).order(ByteOrder.LITTLE_ENDIAN)
    samples.forEach { buffer.putShort(it.toShort()) }
    return buffer.array()
}

fun AudioSource.readAll(block: Int = 7): FloatArray {
    val buffer = FloatArray(block)
    val out = ArrayList<Float>()
    while (true) {
        val count = read(buffer)
        if (count < 0) return out.toFloatArray()
        for (i in 0 until count) out += buffer[i]
    }
}
