export interface PageQuery {
  limit: number
  order: 'asc' | 'desc'
  /** Ids of objects in the same list, both exclusive. */
  after?: string
  before?: string
}

/**
 * A stretch of a list in the order in which its objects were inserted (`asc`) or the reverse. With `before` alone the
 * `limit` objects nearest to the cursor. `has_more`: the list goes on in the direction of paging.
 */
export type Page<T> = { data: T[]; has_more: boolean } | { unknown_cursor: string }
