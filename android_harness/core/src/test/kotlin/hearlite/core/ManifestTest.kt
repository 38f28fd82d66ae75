package hearlite.core

import java.io.ByteArrayInputStream
import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

class ManifestTest {
    private fun parse(vararg changes: Pair<String, String>) = Manifest.parse(manifestText(*changes), "m.json")

    @Test
    fun `everything comes from the manifest`() {
        val manifest = parse()
        assertEquals(8, manifest.sampleRateHz)
        assertEquals(8, manifest.clipSamples)
        assertEquals(4, manifest.pcmFullScale)
        assertEquals(3.5, manifest.highHz, 0.0)
        assertEquals("a fake", manifest.surrogateNote)
        assertArrayEquals(floatArrayOf(1.5f, -2f), manifest.goldenEmbedding, 0f)
        assertEquals(0.05, manifest.goldenTolerance!!, 0.0)
        assertNull(parse("\"golden_tolerance\": 0.05, " to "").goldenTolerance)
    }

    @Test
    fun `what it doesn't match is refused with value and what is allowed`() {
        for ((from, to, says) in listOf(
            Triple("manifest/1", "manifest/9", "m.json: schema is hearlite-manifest/9, this library reads hearlite-manifest/1"),
            Triple("{\"sample_rate_hz\": 8, \"clip_s\"", "{\"sample_rate_hz\": 11, \"clip_s\"", "audio.sample_rate_hz is 11, allowed is 8"),
            Triple("\"dim\": 2", "\"dim\": 3", "golden_embedding's length is 2, allowed is 3"),
            Triple("\"dim\": 2", "\"dim\": 2.5", "m.json: dim is 2.5; expected a whole number of at least 1"),
            Triple("\"dim\": 2", "\"dim\": \"many\"", "m.json: dim is \"many\"; expected a number"),
            Triple("\"pcm_full_scale\": 4", "\"pcm_full_scale\": 0", "m.json: audio: pcm_full_scale is 0.0; expected a whole number of at least 1"),
            Triple("\"signature\": \"embed\", ", "", "m.json: signature is missing"),
            Triple("{\"schema\"", "{{\"schema\"", "m.json: not valid JSON"),
        )) {
            val message = refused { parse(from to to) }
            assertTrue("$message doesn't say $says", says in message)
        }
        assertTrue("not a JSON object" in refused { Manifest.parse("[]", "m.json") })
    }

    @Test
    fun `a model is refused unless it is the manifest's`() {
        parse().verify(ByteArrayInputStream("abc".toByteArray()))
        val message = refused { parse().verify(ByteArrayInputStream("abd".toByteArray())) }
        assertTrue(message, "its sha256 is a52d159f" in message && "its manifest allows ba7816bf" in message)
    }

    @Test
    fun `the manifest of a real file is read and a damaged copy refused`() {
        val model = Vectors.models.first()
        val folder = File.createTempFile("hearlite", "").apply { delete(); mkdir() }
        try {
            val copy = model.copyTo(folder.resolve(model.name))
            assertTrue("is missing" in refused { Manifest.read(copy) })
            File(model.path.removeSuffix(".tflite") + ".json").copyTo(File(copy.path.removeSuffix(".tflite") + ".json"))
            assertEquals(model.name, Manifest.read(copy).name)
            copy.appendBytes(byteArrayOf(0))
            assertTrue("its sha256 is" in refused { Manifest.read(copy) })
        } finally {
            folder.deleteRecursively()
        }
    }
}
