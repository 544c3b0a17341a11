/** The server's WebSocket close codes, as docs/signaling.md lists them. A test compares this table with the server's. */
export const CloseCode = {
  GOODBYE: 1000,
  REFUSED: 1008,
  FAILED: 1011,
  TIMED_OUT: 3999,
  SESSION_ENDED: 4000,
  RESTART: 4001,
  REMOVED: 4002,
  MEDIA_LOST: 4003,
  ROOM_FULL: 4004,
  TOKEN_REFUSED: 4005,
  UNAVAILABLE: 4006,
} as const;
