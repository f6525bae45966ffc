import { notFound } from '../errors.ts'
import type { ListQuery } from '../schemas/common.ts'
import type { Page, PageQuery } from '../store/pages.ts'

/** What a query string leaves out is the newest 20. */
export const pageQuery = <Q extends ListQuery>(query: Q): Q & PageQuery => ({
  ...query,
  limit: query.limit ?? 20,
  order: query.order ?? 'desc',
})

export function listOf<T extends { id: string }>(kind: Parameters<typeof notFound>[0], page: Page<T>) {
  if ('unknown_cursor' in page) throw notFound(kind, page.unknown_cursor)
  const { data, has_more } = page
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more,
  }
}
