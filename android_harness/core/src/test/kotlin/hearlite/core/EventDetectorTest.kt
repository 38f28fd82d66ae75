package hearlite.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class EventDetectorTest {
    private fun rules(shortestS: Double = 0.0, gapS: Double = 0.0, vararg labels: String = arrayOf("cough")) =
        EventRules(stepS = 0.5, classes = labels.map { EventClass(it, on = 0.75, off = 0.5) }, shortestS, gapS)

    private fun rows(vararg scores: Double) = scores.map { floatArrayOf(it.toFloat()) }

    /** "start-end: score at peak" of every event. */
    private fun found(rules: EventRules, vararg scores: Double, startS: Double = 0.0): List<String> {
        val detector = EventDetector(rules, startS)
        return (detector.push(rows(*scores)) + detector.finish()).map { "${it.startS}-${it.endS}: ${it.score} at ${it.peakS}" }
    }

    @Test
    fun `an event begins at the higher threshold and reaches over what passes the lower one`() {
        assertEquals(listOf("0.5-2.0: 0.75 at 1.25"), found(rules(), 0.25, 0.5, 0.75, 0.5, 0.25))
        assertEquals(emptyList<String>(), found(rules(), 0.5, 0.625, 0.5))
        assertEquals(listOf("10.0-10.5: 0.875 at 10.25"), found(rules(), 0.875, startS = 10.0))
        assertEquals(listOf("0.0-1.0: 0.875 at 0.25"), found(rules(), 0.875, 0.875, 0.0)) // the first of equal scores
    }

    @Test
    fun `short gaps are part of an event and short events none`() {
        val scores = doubleArrayOf(1.0, 0.0, 1.0, 0.0, 0.0, 1.0)
        assertEquals(listOf("0.0-0.5", "1.0-1.5", "2.5-3.0"), found(rules(), *scores).map { it.substringBefore(':') })
        assertEquals(listOf("0.0-1.5", "2.5-3.0"), found(rules(gapS = 0.5), *scores).map { it.substringBefore(':') })
        assertEquals(listOf("0.0-1.5"), found(rules(gapS = 0.5, shortestS = 1.0), *scores).map { it.substringBefore(':') })
        assertEquals(listOf("0.0-3.0"), found(rules(gapS = 1.0), *scores).map { it.substringBefore(':') })
    }

    @Test
    fun `lengths are rounded to steps as Python rounds`() {
        assertEquals(listOf(1, 1, 2, 2), listOf(0.0, 0.25, 0.75, 1.25).map { rules(shortestS = it).shortestSteps })
        assertEquals(listOf(0, 0, 2, 2), listOf(0.0, 0.25, 0.75, 1.25).map { rules(gapS = it).gapSteps })
    }

    @Test
    fun `classes are apart, and come in the order in which they end`() {
        val detector = EventDetector(rules(labels = arrayOf("cough", "sneeze")))
        val found = detector.push(listOf(floatArrayOf(1f, 1f), floatArrayOf(1f, 0f), floatArrayOf(0f, 1f)))
        assertEquals(listOf("sneeze", "cough"), found.map { it.label })
        assertEquals(listOf("sneeze"), detector.finish().map { it.label })
        assertTrue("a step has 1 scores; expected 2" in refused { detector.push(rows(1.0)) })
    }

    @Test
    fun `a log counts every class, and an hour`() {
        val log = EventLog(rules(labels = arrayOf("cough", "sneeze")))
        log.add(List(3) { Event("cough", it.toDouble(), it + 0.5, 1.0, it + 0.25) })
        assertEquals(mapOf("cough" to 3, "sneeze" to 0), log.counts)
        assertEquals(mapOf("cough" to 6.0, "sneeze" to 0.0), log.perHour(1_800.0))
        assertEquals(3, log.events.size)
        for (seconds in listOf(0.0, Double.NaN)) assertTrue("$seconds s were listened to" in refused { log.perHour(seconds) })
    }
}
