/** What connect.js puts on the window. */
interface Window {
  Portico: { connect(address: string): void; readonly server: string | null };
}
