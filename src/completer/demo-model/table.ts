const aboutTables =
  /\b(?:[ct]sv|tables?|tabulate|spreadsheet|columns?|rows?|total|sum|average|mean|count|how (?:many|much)|number of|per|by|each|group|plot|chart|graph|diagram|draw|compare|summar\w+|analy[sz]\w+|most|least|highest|lowest|largest|smallest|compute|calculate)\b/i
const aboutCharts = /\b(?:plot|chart|graph|diagram|draw)\b/i
const aboutSaving = /\b(?:save|write|export|download|(?:as|in|into|to) (?:a|another) (?:new |csv )*file)\b/i

/** Python that answers a question about a table among the files that the description of the tool names. */
export function tableCodeFor(question: string, description: string): string | undefined {
  const names = [...description.matchAll(/\/mnt\/data\/([^/]+?\.[ct]sv)(?= \(file)/gi)].map(([, name = '']) => name)
  const named = names.find((name) => question.includes(name))
  const name = named ?? names[0]
  if (!name || !(named || aboutTables.test(question))) return undefined
  const asked = question.replaceAll(name, 'it').trim()
  const chart = /packages[^.]*\bmatplotlib\b/i.test(description) ? matplotlibChart : svgChart
  // What JSON writes in quotes, Python reads.
  const given = `import csv
import re

path = ${JSON.stringify(`/mnt/data/${name}`)}
question = ${JSON.stringify(asked)}
`
  return [
    given,
    summary,
    ...(aboutSaving.test(asked) ? [saving] : []),
    ...(aboutCharts.test(asked) ? [chart] : []),
  ].join('\n')
}

const summary = String.raw`with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
    first_line = file.readline()
    file.seek(0)
    reader = csv.DictReader(file, delimiter=max(",;\t|", key=first_line.count), restval="")
    columns = reader.fieldnames or []
    rows = list(reader)

def stems(text):
    words = re.findall(r"[^\W\d_]+|\d+", text.lower())
    return {re.sub("s$", "", re.sub("ies$", "y", word)) for word in words}

def named(columns, text):
    whole = [column for column in columns if stems(column) and stems(column) <= stems(text)]
    return whole or [column for column in columns if stems(column) & stems(text)]

def numbers(column, rows):
    cells = [row[column].strip() for row in rows if row[column].strip()]
    plain = all(re.fullmatch(r"[-+]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", cell) for cell in cells)
    return [float(cell.replace(",", "")) for cell in cells] if plain else []

# Grouped by what comes after "per" or "by", or else by a column of words that the question names.
after = re.search(r"\b(?:per|by|each|every)\s+(\S+(?:\s+\S+){0,2})", question, re.I)
charting = re.search(r"${aboutCharts.source}", question, re.I)
words = [column for column in columns if not numbers(column, rows)]
groups = after and named(columns, after[1]) or named(words, question)[:1] or (columns[:1] if charting else [])
numeric = [column for column in columns if column not in words + groups]
counting = re.search(r"\b(how many|count|number of)\b", question, re.I)
measures = named(numeric, question) or ([] if counting else numeric)
average = re.search(r"\b(average|mean)\b", question, re.I)

members = {}
for row in rows:
    group = " / ".join(row[column] for column in groups) if groups else "all"
    members.setdefault(group, []).append(row)

def figure(column, rows):
    found = numbers(column, rows)
    if average and not found:
        return ""
    return f"{sum(found) / (len(found) if average else 1):.10g}"

table = [[" / ".join(groups), "rows", *(f"average {column}" if average else column for column in measures)]]
for group, its_rows in members.items():
    table.append([group, str(len(its_rows)), *(figure(column, its_rows) for column in measures)])

widths = [max(map(len, cells)) for cells in zip(*table)]
for group, *figures in table:
    print(group.ljust(widths[0]), *map(str.rjust, figures, widths[1:]), sep="  ")
`

const saving = `with open("/mnt/data/summary.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows(table)
`

const bars = `
header, *lines = table
bars = [(line[0][:20], float(line[-1] or 0)) for line in lines]`

const svgChart = `from html import escape
${bars}
most = max([value for _, value in bars] + [0]) or 1
parts = [f'<text x="20" y="25" font-weight="bold">{escape(header[-1])}</text>']
for place, (name, value) in enumerate(bars):
    y, width = 40 + 30 * place, max(0, 400 * value / most)
    parts.append(f'<text x="20" y="{y + 15}">{escape(name)}</text>')
    parts.append(f'<rect x="180" y="{y}" width="{width:.1f}" height="20" fill="steelblue"/>')
    parts.append(f'<text x="{190 + width:.1f}" y="{y + 15}">{value:.10g}</text>')
with open("/mnt/data/chart.svg", "w", encoding="utf-8") as file:
    size = f'width="720" height="{60 + 30 * len(bars)}"'
    file.write(f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">{"".join(parts)}</svg>')
`

const matplotlibChart = `import matplotlib.pyplot as plt
${bars}
plt.barh([name for name, _ in bars], [value for _, value in bars])
plt.gca().invert_yaxis()
plt.title(header[-1])
plt.show()
`
