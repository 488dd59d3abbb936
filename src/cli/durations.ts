export { formatDuration } from '../domain/duration.ts';
