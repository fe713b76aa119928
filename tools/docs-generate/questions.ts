/** The generated part of docs/QUERIES.md, rendered from `audit/questions/`. Pure. */
import { SECTIONS } from "../../audit/questions/index.ts";
import { type Question, renderExample } from "../../audit/questions/question.ts";

/** Renders every question as SQL that people can run as it stands. */
export function questionParts(): Readonly<Record<string, string>> {
  const sections = SECTIONS.map(({ title, questions }) => [`## ${title}`, ...questions.map(describe)].join("\n\n"));
  return { questions: `\n${sections.join("\n\n")}\n` };
}

function describe(question: Question): string {
  const { name, title, notes } = question;
  const api = `API: \`GET /-/admin/questions/${name}\``;
  return [`### ${title}`, `\`\`\`sql\n${renderExample(question)}\n\`\`\``, notes.trim(), `${api}.`].join("\n\n");
}
