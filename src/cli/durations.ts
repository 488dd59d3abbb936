export { formatDuration, wholeDurationMs } from '../domain/duration.ts';
