ALTER TABLE "jobs" ADD COLUMN "place" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "work" json;