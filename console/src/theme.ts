/** Light or dark: as the system has it, unless the person chose. */
import { effect, signal } from "@preact/signals";

const KEY = "sallyport.theme";
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === value) ?? "system";
}

export const theme = signal<Theme>(stored());

/** Applies the theme to the document from now on. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    localStorage.setItem(KEY, theme.value);
  });
}
