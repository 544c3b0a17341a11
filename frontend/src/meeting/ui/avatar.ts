/** Initials and a colour, shown for a participant whose camera is off. */

/** The initials of the first and the last word of a name, in capitals; "?" for an empty name. */
export function initialsOf(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toLocaleUpperCase() || "?";
}

/** A hue in degrees, always the same for the same name. */
export function hueOf(name: string): number {
  let sum = 0;
  for (const char of name) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 3600;
  return sum % 360;
}
