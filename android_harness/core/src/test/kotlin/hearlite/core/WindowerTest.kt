package hearlite.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class WindowerTest {
    /** "first: samples" of every window of 0, 1, 2, ..., pushed in blocks. */
    private fun windows(samples: Int, window: Int, hop: Int, block: Int = 3, grid: Int = 1): List<String> {
        val windower = Windower(window, hop, grid)
        val out = ArrayList<String>()
        val take = { first: Long, values: FloatArray -> out += "$first: ${values.joinToString(" ") { "%.0f".format(it) }}" }
        FloatArray(samples) { it + 1f }.asList().chunked(block).forEach { windower.push(it.toFloatArray(), onWindow = take) }
        windower.finish(take)
        windower.finish(take) // a second end changes nothing
        return out
    }

    @Test
    fun `a window every hop, and one that ends with the sound`() {
        assertEquals(listOf("0: 1 2 3 4", "2: 3 4 5 6"), windows(samples = 6, window = 4, hop = 2))
        assertEquals(listOf("0: 1 2 3 4", "2: 3 4 5 6", "3: 4 5 6 7"), windows(samples = 7, window = 4, hop = 2))
        assertEquals(listOf("0: 1 2 3 4", "4: 5 6 7 8", "6: 7 8 9 10"), windows(samples = 10, window = 4, hop = 4))
    }

    @Test
    fun `a short sound has zeros after it and an empty one no window`() {
        assertEquals(listOf("0: 1 2 0 0"), windows(samples = 2, window = 4, hop = 2))
        assertEquals(listOf("0: 1 2 3 4"), windows(samples = 4, window = 4, hop = 2))
        assertEquals(emptyList<String>(), windows(samples = 0, window = 4, hop = 2))
    }

    @Test
    fun `the last window may have to start on a grid`() {
        assertEquals(listOf("0: 1 2 3 4", "2: 3 4 5 0"), windows(samples = 5, window = 4, hop = 4, grid = 2))
        assertEquals(listOf("0: 1 2 3 4", "4: 5 6 7 0"), windows(samples = 7, window = 4, hop = 4, grid = 2))
        assertEquals(listOf("0: 1 2 3 0"), windows(samples = 3, window = 4, hop = 4, grid = 2))
    }

    @Test
    fun `blocks don't matter`() {
        val expected = windows(samples = 100, window = 16, hop = 5, block = 1)
        assertEquals(18, expected.size) // 17 that fit, and the last one
        for (block in listOf(2, 7, 16, 33, 100)) assertEquals(expected, windows(samples = 100, window = 16, hop = 5, block = block))
    }

    @Test
    fun `only the first count samples are taken`() {
        val out = ArrayList<Float>()
        Windower(2, 2).push(floatArrayOf(1f, 2f, 3f, 4f), count = 3) { _, window -> out += window.asList() }
        assertEquals(listOf(1f, 2f), out)
    }

    @Test
    fun `a hop that would skip sound is refused`() {
        for (hop in listOf(0, 5)) assertTrue("the hop is $hop samples; use 1 to 4" in refused { Windower(4, hop) })
    }

    @Test
    fun `a ring buffer holds the latest`() {
        val ring = RingBuffer(3)
        ring.push(floatArrayOf(1f, 2f), 0, 2)
        assertEquals(listOf(0f, 1f, 2f), ring.latest().asList())
        ring.push(floatArrayOf(0f, 3f, 4f, 5f, 6f, 7f), 1, 4)
        assertEquals(listOf(4f, 5f, 6f), ring.latest().asList())
        assertEquals(listOf(5f, 6f), ring.latest(2).asList())
    }
}
