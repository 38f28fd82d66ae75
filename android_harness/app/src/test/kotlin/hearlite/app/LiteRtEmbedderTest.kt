package hearlite.app

import hearlite.core.Manifest
import hearlite.core.Timeline
import hearlite.core.Vectors
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test

/** The app's own glue to LiteRT's Kotlin API, over the desktop library. */
class LiteRtEmbedderTest {
    @Test
    fun `it gives Python's embeddings`() {
        for (file in Vectors.models) {
            val manifest = Manifest.read(file)
            LiteRtEmbedder.fromFile(file.path, manifest, threads = 1).use { embedder ->
                val found = Timeline.of(Vectors.sound("long", manifest), manifest, embedder, Vectors.hopS)
                val expected = Vectors.embeddings("long", manifest)
                assertEquals(expected.size, found.size)
                expected.zip(found) { e, f -> assertArrayEquals(e, f.embedding, if (manifest.precision == "i8") 0f else 1e-5f) }
            }
        }
    }
}
