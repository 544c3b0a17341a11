/** The family of browser and system, from the user agent's text: what support asks first, and no more. */
import type { Device } from "./code";

/** The first that matches counts: most browsers also name others. */
const BROWSERS: readonly [RegExp, Device["browser"]][] = [
  [/\b(Edg|EdgA|EdgiOS)\//, "Edge"],
  [/\b(OPR|OPT)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(Firefox|FxiOS)\//, "Firefox"],
  [/\b(Chrome|CriOS|HeadlessChrome)\//, "Chrome"],
  [/\bVersion\/.*\bSafari\//, "Safari"],
];
const SYSTEMS: readonly [RegExp, Device["system"]][] = [
  [/\b(iPhone|iPad|iPod)\b/, "iOS"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMacintosh\b/, "macOS"],
  [/\b(Linux|CrOS)\b/, "Linux"],
];

export function deviceOf(userAgent: string): Device {
  const first = <T,>(rules: readonly [RegExp, T][]): T | undefined => rules.find(([rule]) => rule.test(userAgent))?.[1];
  return { browser: first(BROWSERS) ?? "other", system: first(SYSTEMS) ?? "other" };
}
