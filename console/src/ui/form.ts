/** What somebody has typed into a form. Pure. */

/** The text of a field, without the spaces around it. */
export function textOf(form: FormData, name: string): string {
  return String(form.get(name) ?? "").trim();
}

/** The reason that somebody gave, or none. */
export function reasonOf(form: FormData): { readonly reason?: string } {
  const reason = textOf(form, "reason");
  return reason === "" ? {} : { reason };
}
