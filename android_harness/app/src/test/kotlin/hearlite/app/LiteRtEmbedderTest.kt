package hearlite.app

import hearlite.core.EventStream
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

    @Test
    fun `it gives Python's events`() {
        for (file in Vectors.models) {
            val manifest = Manifest.read(file)
            if (manifest.events == null) continue
            LiteRtEmbedder.fromFile(file.path, manifest, threads = 1).use { embedder ->
                val name = Vectors.eventful.first()
                val found = EventStream.of(Vectors.sound(name, manifest), manifest, embedder)
                assertEquals(Vectors.events(name, manifest).map { it.startS to it.endS }, found.map { it.startS to it.endS })
            }
        }
    }
}
