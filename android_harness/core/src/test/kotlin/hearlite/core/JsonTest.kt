package hearlite.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class JsonTest {
    private fun read(text: String) = JsonReader(text, "x.json").read()

    @Test
    fun `values of all kinds`() {
        val text = """ {"a": [1, -2.5e-3, true, false, null, []], "b": {"c": "\"\\\/\b\f\n\r\t\u00e9"}, "": ""} """
        val expected = mapOf("a" to listOf(1.0, -0.0025, true, false, null, emptyList<Any>()), "b" to mapOf("c" to "\"\\/\b\u000C\n\r\té"), "" to "")
        assertEquals(expected, read(text))
        assertEquals(expected, read(toJson(expected)))
    }

    @Test
    fun `what is no JSON is refused`() {
        for (text in listOf("", " ", "{", "[1,]", "[1 2]", "{\"a\" 1}", "{a: 1}", "\"a", "\"\\x\"", "\"\\u12\"", "\"\n\"", "01", "1.", "NaN", "truth", "1 1", "'a'")) {
            assertTrue(text, "x.json: not valid JSON" in refused { read(text) })
        }
        assertTrue("twice" in refused { read("""{"a": 1, "a": 2}""") })
        assertTrue("deeper than" in refused { read("[".repeat(100_000)) })
    }

    @Test
    fun `NaN is never written`() {
        for (value in listOf(Double.NaN, Float.POSITIVE_INFINITY)) assertThrows(IllegalArgumentException::class.java) { toJson(listOf(value)) }
        assertEquals("[\"\\u0007\\\"\", 1, 0.5, null]", toJson(listOf("\u0007\"", 1L, 0.5f, null)))
    }
}
