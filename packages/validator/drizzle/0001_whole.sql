ALTER TABLE "batches" ADD COLUMN "scoring" text DEFAULT '2024' NOT NULL;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "timeout_seconds" double precision;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "challenge" jsonb;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "request" jsonb;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "source" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "comment" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "complaint" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "deadline" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "offered_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "method" text DEFAULT 'set' NOT NULL;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "explanation" jsonb;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "planned_at_block" integer;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "salt" integer[];--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "commit_hash" text;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "commit_epoch" bigint;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "committed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "weight_settings" ADD COLUMN "commit_block" integer;--> statement-breakpoint
CREATE INDEX "jobs_miner" ON "jobs" USING btree ("miner_hotkey","created_at");--> statement-breakpoint
CREATE INDEX "jobs_created_at" ON "jobs" USING btree ("created_at");