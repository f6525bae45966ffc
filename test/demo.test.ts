import { expect, test } from 'vitest'
import { outputOf } from './examples/programs.ts'

const program = new URL('../src/demo.ts', import.meta.url).pathname

test('the demo tells its stories to the end', async () => {
  const printed = await outputOf(process.execPath, [program], 'http://127.0.0.1:9/v1')
  const [, ...stories] = printed.split(/^== (.*) ==$/m)
  const told = (title: string) => stories[stories.indexOf(title) + 1] ?? ''
  expect(stories.filter((_, at) => at % 2 === 0)).toEqual([
    'A function of yours',
    'A search in documents',
    'Code that reads and writes files',
    'A task for a specialist',
    'A tool of your own on the server',
  ])

  const byFunction = told('A function of yours')
  expect(byFunction).toContain('The assistant calls get_weather({"city":"Reykjavik","unit":"celsius"})\n')
  expect(byFunction).toContain('Assistant: Here is what I found out: It is 4 degrees and windy in Reykjavik.\n')

  const bySearch = told('A search in documents')
  expect(bySearch).toContain('The board of Northwind Logistics released 4.8 million euros for Project Phoenix')
  expect(bySearch).toMatch(/^【4:0†(.*)】 at \d+ to \d+ cites \1\.$/m)

  const table = 'region  rows  revenue\nNorth      4  14419.4\nSouth      4  11304.6\nWest       4  10668.3\n'
  const byCode = told('Code that reads and writes files')
  expect(byCode).toContain('\nThe assistant runs this code:\n\nimport csv\n')
  expect(byCode).toContain(`\nThe code prints:\n\n${table}\nAssistant: This is the result:\n\n\`\`\`\n${table}\`\`\`\n`)
  expect(byCode).toMatch(/chart\.svg, downloaded:\n\n<svg .*>North<.*<\/svg>\n/)
  expect(byCode).toMatch(/summary\.csv, downloaded:\n\nregion,rows,revenue\r?\nNorth,4,14419\.4\r?\n/)

  const bySpecialist = told('A task for a specialist')
  expect(bySpecialist).toMatch(/The assistant calls create_specialist\(\{"name":"expert in geometry",/)
  expect(bySpecialist).toContain('\nAssistant: The expert in geometry says: The result is 5.0.\n')
  expect(bySpecialist).toMatch(/The specialist's run run_\w{24} is completed\./)
  expect(bySpecialist).toMatch(/Its metadata: \{"parent_run_id":"run_\w{24}","parent_thread_id":"thread_\w{24}",/)
  expect(bySpecialist).toContain('\nIt ran this code:\n\nimport math\nprint(math.sqrt(3 ** 2 + 4 ** 2))\n')

  const byTool = told('A tool of your own on the server')
  expect(byTool).toContain('The assistant calls convert_units({"value":26.2,"from":"mi","to":"km"})\n')
  expect(byTool).toContain('Assistant: Here is what I found out: 26.2 mi is 42.164813 km.\n')
}, 120_000)
