/** Words that say little about what a text or a question is about. */
export const stopWords: ReadonlySet<string> = new Set(
  `a about after again all also am an and any are aren as at be because been before being between both but by can
  cannot could couldn did didn do does doesn doing don during each few for from further get give had hadn has hasn have
  haven having he her here hers him his how i if in into is isn it its itself just let may me might more most must my
  need no nor not of on once one only or other our ours out over own please same shall she should shouldn so some such
  tell than that the their them then there these they this those through to too under until up use used using very
  want was wasn way we were weren what when where whether which while who whom whose why will with won would wouldn
  you your yours`.split(/\s+/),
)
