package hearlite.core

import java.io.DataInputStream
import java.io.EOFException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A WAV of 16-bit PCM or 32-bit float, any rate and number of channels, which are averaged. Reads forward only, so any stream will do.
 *
 * @param name names the file in errors
 * @param pcmFullScale the manifest's: int16 -> float is x / pcmFullScale
 */
class WavFile(stream: InputStream, private val name: String, private val pcmFullScale: Int) : AudioSource {
    private val input = DataInputStream(stream.buffered())
    override val sampleRateHz: Int
    private val channels: Int
    private val isFloat: Boolean
    private var framesLeft: Long

    init {
        val format = try {
            if (text() != "RIFF") refuse("is no WAV file")
            input.readInt() // its size, which says nothing that the chunks don't
            if (text() != "WAVE") refuse("is a RIFF file, but no WAV file")
            ByteBuffer.wrap(chunk("fmt ")).order(ByteOrder.LITTLE_ENDIAN)
        } catch (_: EOFException) {
            refuse("ends before its sound")
        }
        if (format.capacity() < FORMAT_BYTES) refuse("has a format chunk of ${format.capacity()} bytes")
        val tag = format.getShort(0).toInt() and UINT16
        val bits = format.getShort(14).toInt()
        val kind = if (tag == EXTENSIBLE && format.capacity() > SUBFORMAT) format.getShort(SUBFORMAT).toInt() else tag
        isFloat = kind == FLOAT
        channels = format.getShort(2).toInt()
        sampleRateHz = format.getInt(4)
        if (!(kind == PCM && bits == Short.SIZE_BITS) && !(kind == FLOAT && bits == Float.SIZE_BITS)) refuse("holds $bits bits of format $kind")
        if (channels < 1 || sampleRateHz < 1) refuse("has $channels channels at $sampleRateHz Hz")
        framesLeft = try { skipTo("data") / frameBytes } catch (_: EOFException) { refuse("ends before its sound") }
    }

    private val frameBytes: Int get() = channels * if (isFloat) Float.SIZE_BYTES else Short.SIZE_BYTES

    override fun read(into: FloatArray): Int {
        val frames = minOf(into.size.toLong(), framesLeft).toInt()
        if (frames == 0) return -1
        val bytes = ByteArray(frames * frameBytes)
        try {
            input.readFully(bytes)
        } catch (_: EOFException) {
            refuse("is truncated: at least ${framesLeft - frames} of the samples that its header promises are missing")
        }
        val mono = if (isFloat) floats(bytes) else pcm16ToFloat(shorts(bytes), pcmFullScale)
        for (frame in 0 until frames) {
            var sum = 0f
            for (channel in 0 until channels) sum += mono[frame * channels + channel]
            into[frame] = sum / channels
        }
        framesLeft -= frames
        return frames
    }

    override fun close() = input.close()

    private fun shorts(bytes: ByteArray) = ShortArray(bytes.size / Short.SIZE_BYTES).also { littleEndian(bytes).asShortBuffer().get(it) }

    private fun floats(bytes: ByteArray): FloatArray {
        val values = FloatArray(bytes.size / Float.SIZE_BYTES).also { littleEndian(bytes).asFloatBuffer().get(it) }
        if (values.any { !it.isFinite() }) refuse("holds NaN or infinite samples")
        return values
    }

    private fun chunk(wanted: String): ByteArray {
        val size = skipTo(wanted)
        if (size > MAX_FORMAT_BYTES) refuse("has a '$wanted' chunk of $size bytes")
        return ByteArray(size.toInt()).also(input::readFully)
    }

    /** Goes to the body of the next chunk of this name; returns its bytes. */
    private fun skipTo(wanted: String): Long {
        while (true) {
            val found = text()
            val size = Integer.reverseBytes(input.readInt()).toLong() and UINT32
            if (found == wanted) return size
            var left = size + size % 2 // chunks are padded to an even length
            while (left > 0) {
                val skipped = input.skip(left)
                if (skipped == 0L) input.readByte() // the end, or a stream that can't skip
                left -= maxOf(skipped, 1)
            }
        }
    }

    private fun text() = String(ByteArray(4).also(input::readFully), Charsets.US_ASCII)

    private fun littleEndian(bytes: ByteArray) = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)

    private fun refuse(what: String): Nothing =
        throw HearliteException("$name $what", "expected a complete WAV of 16-bit PCM or 32-bit float; convert it: ffmpeg -i IN -c:a pcm_s16le OUT.wav")

    private companion object {
        // RIFF: Microsoft's WAVEFORMATEX and WAVEFORMATEXTENSIBLE
        const val PCM = 1
        const val FLOAT = 3
        const val EXTENSIBLE = 0xFFFE
        const val FORMAT_BYTES = 16
        const val SUBFORMAT = 24 // offset of the tag that an extensible format really has
        const val MAX_FORMAT_BYTES = 1024
        const val UINT16 = 0xFFFF
        const val UINT32 = 0xFFFFFFFFL
    }
}
