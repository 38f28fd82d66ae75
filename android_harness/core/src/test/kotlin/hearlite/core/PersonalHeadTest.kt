package hearlite.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class PersonalHeadTest {
    private fun vectors(text: Any?) = (text as List<*>).map { row -> (row as List<*>).map { (it as Double).toFloat() }.toFloatArray() }

    private fun recordings(text: Any?) = (text as List<*>).map(::vectors)

    @Test
    fun `fitted here a head is Python's`() {
        val cases = JsonReader(Vectors.text("personal.json"), "personal.json").read() as Map<*, *>
        assertTrue("${cases.keys}", cases.size >= 4)
        for ((name, fields) in cases) {
            val case = fields as Map<*, *>
            val python = PersonalHead.parse(Vectors.text("personal.$name.json"), "personal.$name.json")
            val here = PersonalHead.fit(recordings(case["examples"]), recordings(case["others"]), "mine", "m")
            assertEquals(listOf(python.kind, python.examples, python.others, python.found, python.mistaken), with(here) { listOf(kind, examples, others, found, mistaken) })
            assertEquals("$name", python.threshold, here.threshold, TOLERANCE)
            for ((new, score) in vectors(case["new"]).zip(case["scores"] as List<*>)) {
                assertEquals("$name", score as Double, python.score(new), 1e-12)
                assertEquals("$name", score, here.score(new), TOLERANCE)
            }
            val again = PersonalHead.parse(here.toJson(), "again")
            assertEquals(here.score(vectors(case["new"])[0]), again.score(vectors(case["new"])[0]), 0.0)
        }
    }

    private fun head(vararg changes: Pair<String, String>) = changes.fold(HEAD) { old, (from, to) -> old.replace(from, to).also { check(it != old) } }

    @Test
    fun `hostile heads are refused`() {
        for ((from, to, says) in listOf(
            Triple("head/1", "head/9", "this library reads"),
            Triple("logistic", "forest", "kind forest"),
            Triple("[2.0, 0.0]", "[2.0]", "1 weights"),
            Triple("0.75", "1.0", "threshold 1.0"),
            Triple("\"mine\"", "\"\"", "expected a label"),
            Triple("\"bias\": 0", "\"bias\": \"0\"", "expected a number"),
        )) {
            val message = refused { PersonalHead.parse(head(from to to), "own.json") }
            assertTrue("$message doesn't say $says", says in message)
        }
        assertTrue("takes 2" in refused { PersonalHead.parse(HEAD, "own.json").score(FloatArray(3)) })
        assertTrue("use 3 to 100" in refused { PersonalHead.fit(List(2) { listOf(FloatArray(2)) }, emptyList(), "mine", "m") })
    }

    @Test
    fun `a stream finds its sound beside the file's events`() {
        val manifest = Manifest.parse(eventManifestText(), "m.json") // 8 Hz, windows of 1 s, steps of 2 samples
        val ofIt = PersonalHead.parse(head("\"m\"" to "\"${PersonalHead.modelOf(manifest)}\""), "own.json")
        val embedder = object : Embedder {
            override val runtime = "fake"
            private val loudest = LoudestEmbedder()

            override fun embed(clip: FloatArray) = infer(clip).embedding

            override fun infer(clip: FloatArray) = Inference(floatArrayOf(if (clip.max() > 0.6f) 1f else -1f, 0f), FloatArray(1), loudest.infer(clip).stepScores)
        }
        val stream = EventStream(manifest, embedder, 8, keepScores = true, personal = listOf(ofIt))
        val sound = FloatArray(48) { if (it in 20..21) 0.75f else if (it % 2 == 0) 0f else 0.25f }
        val found = stream.push(sound) + stream.finish()
        assertEquals(setOf("cough", "mine"), found.map { it.label }.toSet())
        val mine = found.single { it.label == "mine" }
        assertTrue("${mine.startS} to ${mine.endS}", mine.startS <= 2.5 && mine.endS >= 2.75 && mine.endS - mine.startS <= 1.0)
        assertEquals(2, stream.timeline[0].size)
        val other = PersonalHead.parse(HEAD, "own.json")
        assertTrue("another model" in refused { EventStream(manifest, embedder, 8, personal = listOf(other)) })
        val twice = PersonalHead.parse(head("\"m\"" to "\"${PersonalHead.modelOf(manifest)}\"", "\"mine\"" to "\"cough\""), "own.json")
        assertTrue("expected distinct ones" in refused { EventStream(manifest, embedder, 8, personal = listOf(twice)) })
    }

    private companion object {
        const val TOLERANCE = 1e-4 // where scikit-learn's iterations end
        const val HEAD = """{"label": "mine", "kind": "logistic", "model": "m", "centre": [0.0, 0.0], "weights": [2.0, 0.0], "bias": 0,
            "threshold": 0.75, "examples": 3, "others": 3, "found": 3, "mistaken": 0, "schema": "hearlite-personal-head/1"}"""
    }
}
