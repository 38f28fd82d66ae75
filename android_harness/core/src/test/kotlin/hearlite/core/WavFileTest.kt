package hearlite.core

import java.io.ByteArrayInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class WavFileTest {
    private fun open(stream: ByteArrayInputStream) = WavFile(stream, "x.wav", pcmFullScale = 4)

    private fun floats(vararg values: Float): ByteArray {
        val buffer = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
        values.forEach { buffer.putFloat(it) }
        return buffer.array()
    }

    @Test
    fun `PCM is scaled by the manifest and channels are averaged`() {
        val mono = open(wav(8_000, 1, 16, 1, pcm16(-4, 0, 2, 3)))
        assertEquals(8_000, mono.sampleRateHz)
        assertArrayEquals(floatArrayOf(-1f, 0f, 0.5f, 0.75f), mono.readAll(block = 3), 0f)
        val stereo = open(wav(44_100, 2, 16, 1, pcm16(4, 0, 2, -4)))
        assertArrayEquals(floatArrayOf(0.5f, -0.25f), stereo.readAll(), 0f)
    }

    @Test
    fun `floats and chunks before the data`() {
        val odd = "LIST".toByteArray() + byteArrayOf(3, 0, 0, 0, 9, 9, 9, 0) // 3 bytes and one of padding
        assertArrayEquals(floatArrayOf(0.5f, -2f), open(wav(8_000, 1, 32, 3, floats(0.5f, -2f), before = odd)).readAll(), 0f)
    }

    @Test
    fun `what can't be read whole is refused by name`() {
        val sound = pcm16(1, 2)
        for ((stream, says) in listOf(
            ByteArrayInputStream(ByteArray(0)) to "x.wav ends before its sound",
            ByteArrayInputStream("OggS and more".toByteArray()) to "is no WAV file",
            wav(8_000, 1, 24, 1, sound) to "holds 24 bits of format 1",
            wav(8_000, 1, 16, 17, sound) to "holds 16 bits of format 17",
            wav(8_000, 0, 16, 1, sound) to "has 0 channels",
            wav(0, 1, 16, 1, sound) to "at 0 Hz",
            wav(8_000, 1, 16, 1, sound, promised = 400) to "is truncated",
            wav(8_000, 1, 32, 3, floats(Float.NaN)) to "NaN",
        )) {
            val message = refused { open(stream).readAll(block = 1_000) }
            assertTrue("$message doesn't say $says", says in message && "16-bit PCM" in message)
        }
    }
}
