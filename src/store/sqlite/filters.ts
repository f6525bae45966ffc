import { and, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import type { Filter } from '../../schemas/filters.ts'

const operators = { eq: '=', ne: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

/**
 * The condition that attributes (a JSON object of strings, numbers and booleans) pass a filter. A file without the key,
 * or with a value of another type, passes `ne` and `nin` and nothing else. Strings compare by their bytes in UTF-8.
 */
export function conditionOf(filter: Filter, attributes: SQLiteColumn): SQL {
  switch (filter.type) {
    case 'and':
      return and(...filter.filters.map((one) => conditionOf(one, attributes))) ?? sql`1`
    case 'or':
      return or(...filter.filters.map((one) => conditionOf(one, attributes))) ?? sql`0`
    case 'in':
    case 'nin': {
      const among = sql`(SELECT value FROM json_each(${JSON.stringify(filter.value)}))`
      const isAmong = has(attributes, filter.key, sql`type IN ('text', 'integer', 'real') AND value IN ${among}`)
      return filter.type === 'in' ? isAmong : sql`NOT ${isAmong}`
    }
    default: {
      const { type, key, value } = filter
      // JSON's true is 1 in SQL, but its type tells it from the number.
      const given = typeof value === 'boolean' ? Number(value) : value
      const holds = sql`type IN ${sql.raw(typesOf(value))} AND value ${sql.raw(operators[type])} ${given}`
      return type === 'ne' ? sql`NOT ${has(attributes, key, holds)}` : has(attributes, key, holds)
    }
  }
}

const has = (attributes: SQLiteColumn, key: string, holds: SQL) =>
  sql`EXISTS (SELECT 1 FROM json_each(${attributes}) WHERE key = ${key} AND ${holds})`

function typesOf(value: string | number | boolean): string {
  if (typeof value === 'string') return "('text')"
  return typeof value === 'number' ? "('integer', 'real')" : "('true', 'false')"
}
