/** The global object that connect.js defines. */
interface Window {
  Portico: { connect(address: string): void; readonly server: string | null; readonly iceServers: RTCIceServer[] };
}
