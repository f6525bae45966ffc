/** Milliseconds since 1970. Injected wherever time matters, so that tests can move it. */
export type Clock = () => number

/** The API's timestamps are whole seconds. */
export const seconds = (clock: Clock) => Math.floor(clock() / 1000)
