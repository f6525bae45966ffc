/** The pattern of any of these texts. `RegExp.escape` is not in Node 22 yet. */
export const anyOf = (marks: readonly string[]) =>
  marks.map((mark) => mark.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')
