CREATE TABLE "user_jobs" (
	"uuid" uuid PRIMARY KEY NOT NULL,
	"request" text NOT NULL,
	"signatory" text NOT NULL,
	"signed" text,
	"created_at" timestamp with time zone NOT NULL,
	"refusal" jsonb,
	"ended_at" timestamp with time zone,
	"told_at" timestamp with time zone,
	"cheated_at" timestamp with time zone,
	"trusted_job" uuid,
	"cheat_details" text,
	CONSTRAINT "user_jobs_signed_unique" UNIQUE("signed")
);
--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "report" text;--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "user_job" uuid;--> statement-breakpoint
CREATE INDEX "user_jobs_ended_at" ON "user_jobs" USING btree ("ended_at");--> statement-breakpoint
CREATE INDEX "user_jobs_created_at" ON "user_jobs" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "jobs_user_job" ON "jobs" USING btree ("user_job");