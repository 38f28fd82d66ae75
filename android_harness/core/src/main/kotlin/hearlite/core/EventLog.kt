package hearlite.core

/** The events of a night or a day, and how often each class was heard. */
class EventLog(private val rules: EventRules) {
    private val found = ArrayList<Event>()

    /** In the order in which they ended. */
    val events: List<Event> get() = found

    /** How many events of each class, in the order of the rules; 0 for those that were not heard. */
    val counts: Map<String, Int> get() = rules.classes.associate { wanted -> wanted.label to found.count { it.label == wanted.label } }

    fun add(events: List<Event>) {
        found += events
    }

    /** How many of each class an hour, in [listenedS] seconds of sound. */
    fun perHour(listenedS: Double): Map<String, Double> = counts.mapValues { (_, count) -> eventsPerHour(count, listenedS) }
}

/** [count] events in [listenedS] seconds of sound, as a number an hour. Gaps in which nothing was recorded don't count as listened to. */
fun eventsPerHour(count: Int, listenedS: Double): Double {
    if (!(listenedS > 0.0 && listenedS.isFinite())) throw HearliteException("$listenedS s were listened to", "expected more than 0")
    return count * SECONDS_PER_HOUR / listenedS
}

private const val SECONDS_PER_HOUR = 3600.0
