package hearlite.core

/** Something that a user or an app developer can put right: [what] was wrong with which value, and the [remedy]. */
class HearliteException(val what: String, val remedy: String) : Exception("$what; $remedy")
