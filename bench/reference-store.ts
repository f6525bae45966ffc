import { readdirSync, readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { noUsage } from '../src/schemas/usage.ts'

export type Row = Record<string, unknown>

const migrations = new URL('../drizzle/', import.meta.url)

const jsonColumns = new Set([
  ...['metadata', 'tools', 'tool_resources', 'response_format', 'content', 'attachments', 'truncation_strategy'],
  ...['tool_choice', 'usage', 'spent', 'step_details', 'required_action', 'last_error', 'incomplete_details'],
])

function toColumns(object: Row): Row {
  const row: Row = {}
  for (const key in object) {
    const value = object[key]
    if (value !== null && jsonColumns.has(key)) row[key] = JSON.stringify(value)
    else row[key] = typeof value === 'boolean' ? Number(value) : value
  }
  return row
}

function fromColumns(row: Row): Row {
  for (const key in row) if (row[key] !== null && jsonColumns.has(key)) row[key] = JSON.parse(row[key] as string)
  return row
}

/** The server's own tables and the same writes in the same transactions, by prepared statements. */
export function openReferenceStore(file: string) {
  const db = new Database(file)
  for (const pragma of ['journal_mode = WAL', 'synchronous = NORMAL', 'foreign_keys = ON']) db.pragma(pragma)
  for (const name of readdirSync(migrations).sort()) {
    if (name.endsWith('.sql')) db.exec(readFileSync(new URL(name, migrations), 'utf8'))
  }

  const insertInto = (table: string) => {
    const info = db.pragma(`table_info(${table})`) as { name: string }[]
    const names = info.map(({ name }) => name).filter((name) => name !== 'seq')
    const statement = db.prepare(`INSERT INTO ${table} (${names}) VALUES (${names.map((name) => `@${name}`)})`)
    return (object: Row) => statement.run(toColumns(object))
  }
  const insertAssistant = insertInto('assistants')
  const insertThread = insertInto('threads')
  const insertMessage = insertInto('messages')
  const insertRun = insertInto('runs')
  const insertStep = insertInto('run_steps')
  const selectAssistant = db.prepare('SELECT * FROM assistants WHERE id = ?')
  const claimRun = db.prepare('UPDATE runs SET lease_id = ?, available_at = ? WHERE id = ?')
  const startRun = db.prepare('UPDATE runs SET status = @status, started_at = @started_at, version = 2 WHERE id = @id')
  const openRun = db.prepare('UPDATE runs SET version = 3 WHERE id = ?')
  const endRun = db.prepare(
    `UPDATE runs SET status = @status, completed_at = @completed_at, expires_at = NULL, usage = @usage, spent = @usage,
      version = 4, lease_id = NULL, available_at = NULL WHERE id = @id`,
  )
  const endStep = db.prepare(
    'UPDATE run_steps SET status = @status, completed_at = @completed_at, usage = @usage, spent = @usage WHERE id = @id',
  )
  const endMessage = db.prepare(
    'UPDATE messages SET status = @status, completed_at = @completed_at, content = @content WHERE id = @id',
  )

  return {
    insertAssistant,
    insertThread,
    insertMessage,
    assistant(id: string): Row {
      const { seq: _, ...assistant } = selectAssistant.get(id) as Row
      return { ...fromColumns(assistant), object: 'assistant' }
    },
    beginRun: db.transaction((thread: Row, message: Row, run: Row) => {
      insertThread(thread)
      insertMessage(message)
      insertRun({ ...run, version: 1, spent: noUsage, lease_id: null, available_at: Date.now(), parent_run_id: null })
    }).immediate,
    claim: (run: Row, lease_id: string) => claimRun.run(lease_id, Date.now() + 30_000, run.id),
    startRun: (run: Row) => startRun.run(run),
    open: db.transaction((run: Row, step: Row, message: Row) => {
      openRun.run(run.id)
      insertStep({ ...step, spent: null })
      insertMessage(message)
    }).immediate,
    complete: db.transaction((run: Row, step: Row, message: Row) => {
      endRun.run(toColumns(run))
      endStep.run(toColumns(step))
      endMessage.run(toColumns(message))
    }).immediate,
  }
}
